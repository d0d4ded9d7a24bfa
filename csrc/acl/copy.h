// Copies between host and device that run on a stream.
#pragma once

#include <cstddef>
#include <memory>

#include "acl/stream.h"

namespace ascend_ops::acl {

/// aclrtMemcpyKind.
enum class Direction : int { host_to_device = 1, device_to_host = 2, device_to_device = 3 };

/// Starts copying `bytes` on `stream` and returns the event that says when they have arrived.
/// Pinned blocks of the pool at either end are not reused before that.
std::shared_ptr<Event> copy_async(void* to, const void* from, std::size_t bytes,
                                  Direction direction, void* stream, int device);

/// What `stream` has been given so far uses the pinned block that has `address`, too: for copies
/// that somebody else started. False where the address is none of the pool's.
bool record_stream(const void* address, std::size_t bytes, void* stream, int device);

}  // namespace ascend_ops::acl
