#include "emulator/runtime/objects/resource_limits.h"

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

/// Limits by owner, a device or the identifier of a stream, and by type.
using Limits = std::map<std::pair<int, aclrtDevResLimitType>, std::uint32_t>;

struct AllLimits {
    std::mutex mutex;
    Limits of_devices;
    Limits of_streams;
};

AllLimits& all_limits() {
    static auto* const all = new AllLimits;
    return *all;
}

struct StreamOfThread {
    bool set = false;
    int device = 0;
    int id = 0;
};
thread_local StreamOfThread stream_of_thread;

std::uint32_t cores(aclrtDevResLimitType type) {
    return type == ACL_RT_DEV_RES_CUBE_CORE ? cube_cores : vector_cores;
}

int check_limit(aclrtDevResLimitType type, std::uint32_t value) {
    if (type != ACL_RT_DEV_RES_CUBE_CORE && type != ACL_RT_DEV_RES_VECTOR_CORE) {
        return fail(
            ACL_ERROR_RT_PARAM_INVALID,
            "type must be the cube cores, 0, or the vector cores, 1, got " + std::to_string(type));
    }
    return value >= 1 && value <= cores(type)
               ? 0
               : fail(ACL_ERROR_RT_PARAM_INVALID, "value must be 1 to " +
                                                      std::to_string(cores(type)) + ", got " +
                                                      std::to_string(value));
}

int set_limit(Limits& limits, int owner, aclrtDevResLimitType type, std::uint32_t value) {
    if (const int refused = check_limit(type, value)) {
        return refused;
    }
    const std::lock_guard<std::mutex> lock(all_limits().mutex);
    limits[{owner, type}] = value;
    return 0;
}

void remove_limits(Limits& limits, int owner) {
    const std::lock_guard<std::mutex> lock(all_limits().mutex);
    limits.erase({owner, ACL_RT_DEV_RES_CUBE_CORE});
    limits.erase({owner, ACL_RT_DEV_RES_VECTOR_CORE});
}

std::uint32_t find_limit(const Limits& limits, int owner, aclrtDevResLimitType type,
                         std::uint32_t otherwise) {
    const std::lock_guard<std::mutex> lock(all_limits().mutex);
    const auto found = limits.find({owner, type});
    return found == limits.end() ? otherwise : found->second;
}

std::uint32_t limit_of(int device, int stream, aclrtDevResLimitType type) {
    return find_limit(all_limits().of_streams, stream, type, device_limit(device, type));
}

}  // namespace

int limit_device(int device, aclrtDevResLimitType type, std::uint32_t value) {
    return set_limit(all_limits().of_devices, device, type, value);
}

int limit_stream(const Stream& stream, aclrtDevResLimitType type, std::uint32_t value) {
    return set_limit(all_limits().of_streams, stream.id(), type, value);
}

void unlimit_device(int device) { remove_limits(all_limits().of_devices, device); }
void unlimit_stream(const Stream& stream) { remove_limits(all_limits().of_streams, stream.id()); }

std::uint32_t device_limit(int device, aclrtDevResLimitType type) {
    return find_limit(all_limits().of_devices, device, type, cores(type));
}

std::uint32_t stream_limit(const Stream& stream, aclrtDevResLimitType type) {
    return limit_of(stream.device(), stream.id(), type);
}

void use_limits_of(const Stream* stream) {
    stream_of_thread =
        stream == nullptr ? StreamOfThread{} : StreamOfThread{true, stream->device(), stream->id()};
}

std::uint32_t thread_limit(aclrtDevResLimitType type) {
    return stream_of_thread.set ? limit_of(stream_of_thread.device, stream_of_thread.id, type)
                                : device_limit(current_device(), type);
}

}  // namespace ascend_emulator
