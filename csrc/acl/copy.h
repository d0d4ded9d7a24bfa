// Copies between host and device that run on a stream.
#pragma once

#include <cstddef>
#include <memory>

#include "acl/stream.h"

namespace ascend_ops::acl {

/// aclrtMemcpyKind.
enum class Direction : int { host_to_device = 1, device_to_host = 2, device_to_device = 3 };

/// Start copying `bytes` on `stream`, and return an event that marks the end of the copy. Pinned
/// blocks of the pool at either end are not reused before that.
std::shared_ptr<Event> copy_async(void* to, const void* from, std::size_t bytes,
                                  Direction direction, void* stream, int device);

/// Note that the work queued on `stream` so far uses the pinned block that contains `address`, for
/// copies that were not started here. False if the address is not in the pool.
bool record_stream(const void* address, std::size_t bytes, void* stream, int device);

}  // namespace ascend_ops::acl
