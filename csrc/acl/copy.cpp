#include "acl/copy.h"

#include <string>

#include "acl/pinned_pool.h"
#include "acl/runtime.h"

namespace ascend_ops::acl {
namespace {

const char* name_of(Direction direction) {
    switch (direction) {
        case Direction::host_to_device:
            return "host to device";
        case Direction::device_to_host:
            return "device to host";
        default:
            return "device to device";
    }
}

}  // namespace

std::shared_ptr<Event> copy_async(void* to, const void* from, std::size_t bytes,
                                  Direction direction, void* stream, int device) {
    const DeviceGuard guard(device);
    // Everything that may fail comes first, while nothing is queued yet.
    auto done = std::make_shared<Event>(device, false);
    check(functions().memcpy_async(to, bytes, from, bytes, static_cast<int>(direction), stream),
          "aclrtMemcpyAsync",
          "copy " + std::to_string(bytes) + " bytes, " + name_of(direction) + ", on device " +
              std::to_string(device));
    try {
        done->record(stream);
    } catch (const Error&) {
        if (functions().synchronize_stream(stream) != 0) {
            pinned_pool().abandon(to, bytes);
            pinned_pool().abandon(from, bytes);
        }
        throw;
    }
    pinned_pool().note_use(to, bytes, done, stream);
    pinned_pool().note_use(from, bytes, done, stream);
    return done;
}

bool record_stream(const void* address, std::size_t bytes, void* stream, int device) {
    if (pinned_pool().find(address, bytes) == nullptr) {
        return false;
    }
    auto done = std::make_shared<Event>(device, false);
    done->record(stream);
    return pinned_pool().note_use(address, bytes, done, stream);
}

}  // namespace ascend_ops::acl
