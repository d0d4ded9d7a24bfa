// How many cores of a device the operators of a stream may use. CANN tunes kernels by them; the
// emulator stores the limits, and its results do not depend on them.
#pragma once

#include <cstdint>

#include "acl/acl_rt.h"

namespace ascend_emulator {

class Stream;

constexpr std::uint32_t cube_cores = 24;
constexpr std::uint32_t vector_cores = 48;

/// Limit a resource of a device, or of a stream. 0, or a code if the limit is not one from 1 to the
/// number of cores.
int limit_device(int device, aclrtDevResLimitType type, std::uint32_t value);
int limit_stream(const Stream& stream, aclrtDevResLimitType type, std::uint32_t value);

void unlimit_device(int device);
void unlimit_stream(const Stream& stream);

/// The limit of a device; that of a stream, which is its device's if it has none of its own.
std::uint32_t device_limit(int device, aclrtDevResLimitType type);
std::uint32_t stream_limit(const Stream& stream, aclrtDevResLimitType type);

/// Make this thread use the limits of a stream; null makes it use its device's again.
void use_limits_of(const Stream* stream);
std::uint32_t thread_limit(aclrtDevResLimitType type);

}  // namespace ascend_emulator
