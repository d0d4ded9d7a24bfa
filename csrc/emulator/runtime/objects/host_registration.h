// Host memory that a program registers, so that the device can access it.
#pragma once

#include <cstddef>

namespace ascend_emulator {

/// Register a range. 0, or a code if it is empty or overlaps a registered one.
int register_host(void* address, std::size_t bytes);

/// 0, or a code if no registered range begins at the address.
int unregister_host(const void* address);

/// Whether the address lies in a registered range.
bool is_registered(const void* address);

}  // namespace ascend_emulator
