// Copies and fills, synchronous and on a stream. A copy's kind must fit its addresses, and device
// addresses must be of live memory.
#pragma once

#include <cstddef>

#include "acl/acl_rt.h"
#include "emulator/interface/services.h"

namespace ascend_emulator {

/// 0, or a code, with an error noted, for a device address outside live memory.
int check_live(const char* what, const void* address, std::size_t bytes);

/// 0, or a code, with an error noted, for a copy that the destination cannot hold or whose kind
/// does not fit its addresses. `capacity` is the size of the destination.
int check_copy(void* to, std::size_t capacity, const void* from, std::size_t bytes,
               aclrtMemcpyKind kind);
int check_fill(void* to, std::size_t capacity, std::size_t bytes);
/// The same for `count` words of 32 bits, to which the address must be aligned.
int check_fill_words(void* to, std::size_t capacity, std::size_t count);

/// Copy or fill on the calling thread, which is an access of the host for the race detector.
void copy_now(void* to, const void* from, std::size_t bytes);
void fill_now(void* to, int value, std::size_t bytes);
void fill_words_now(void* to, std::uint32_t value, std::size_t count);

TaskPtr copy_task(void* to, const void* from, std::size_t bytes);
TaskPtr fill_task(void* to, int value, std::size_t bytes);
TaskPtr fill_words_task(void* to, std::uint32_t value, std::size_t count);

}  // namespace ascend_emulator
