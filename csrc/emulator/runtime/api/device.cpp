#include "emulator/runtime/objects/device.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <vector>

#include "acl/acl_rt.h"
#include "emulator/options/options.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

constexpr int most_devices = 64;
thread_local int device_of_thread = -1;

bool exists(int device) { return device >= 0 && device < options().devices; }

int refuse_device(int device) {
    return fail(ACL_ERROR_INVALID_DEVICE, "there is no device " + std::to_string(device) +
                                              ": ASCEND_EMULATOR_DEVICES is " +
                                              std::to_string(options().devices));
}

/// Whether operators of this thread's device may use the memory of `peer`.
int set_peer_access(int peer, bool allowed) {
    if (!exists(peer)) {
        return refuse_device(peer);
    }
    DeviceState& state = device_state(current_device());
    const std::lock_guard<std::mutex> lock(state.mutex);
    if (allowed) {
        state.peers.insert(peer);
    } else {
        state.peers.erase(peer);
    }
    return 0;
}

}  // namespace

DeviceState& device_state(int device) {
    // Never destroyed: stream workers outlive main.
    static auto* const all = [] {
        auto* states = new std::array<DeviceState, most_devices>;
        for (int id = 0; id < most_devices; ++id) {
            (*states)[id].id = id;
        }
        return states;
    }();
    return (*all)[device];
}

std::size_t total_memory() { return static_cast<std::size_t>(options().memory_mb) << 20; }
int current_device_or_none() { return device_of_thread; }
void set_current_device(int device) { device_of_thread = device; }

int current_device() {
    if (device_of_thread < 0) {
        device_of_thread = 0;
    }
    return device_of_thread;
}

int synchronize_device(int device, int timeout_ms) {
    DeviceState& state = device_state(device);
    std::vector<Stream*> streams;
    {
        const std::lock_guard<std::mutex> lock(state.mutex);
        streams.assign(state.streams.begin(), state.streams.end());
    }
    int first = 0;
    for (Stream* stream : streams) {
        const int code = stream->synchronize(timeout_ms);
        first = first == 0 ? code : first;
    }
    return first;
}

}  // namespace ascend_emulator

using namespace ascend_emulator;

// Also before aclInit: torch's autograd engine asks when it starts, whoever uses it first.
aclError aclrtGetDeviceCount(uint32_t* count) {
    *count = static_cast<uint32_t>(options().devices);
    return 0;
}

aclError aclrtSetDevice(int32_t device) {
    ACL_ENTER();
    if (!exists(device)) {
        return refuse_device(device);
    }
    set_current_device(device);
    return 0;
}

// A probe: where no device is set, that is the answer and no error to remember.
aclError aclrtGetDevice(int32_t* device) {
    if (current_device_or_none() < 0) {
        return ACL_ERROR_RT_CONTEXT_NULL;
    }
    *device = current_device_or_none();
    return 0;
}

aclError aclrtResetDevice(int32_t device) {
    ACL_ENTER();
    if (!exists(device)) {
        return refuse_device(device);
    }
    const int code = synchronize_device(device, -1);
    if (current_device_or_none() == device) {
        set_current_device(-1);
    }
    return code;
}

aclError aclrtSynchronizeDevice() {
    ACL_ENTER();
    return synchronize_device(current_device(), -1);
}

aclError aclrtSynchronizeDeviceWithTimeout(int32_t timeout) {
    ACL_ENTER();
    return synchronize_device(current_device(), timeout);
}

aclError aclrtGetCurrentContext(aclrtContext* context) {
    if (current_device_or_none() < 0) {
        return ACL_ERROR_RT_CONTEXT_NULL;
    }
    *context = &device_state(current_device_or_none());
    return 0;
}

aclError aclrtSetCurrentContext(aclrtContext context) {
    ACL_ENTER();
    if (context == nullptr) {
        return fail(ACL_ERROR_RT_CONTEXT_NULL, "the context is null");
    }
    set_current_device(static_cast<DeviceState*>(context)->id);
    return 0;
}

aclError aclrtGetPrimaryCtxState(int32_t device, uint32_t* flags, int32_t* active) {
    ACL_ENTER();
    if (!exists(device)) {
        return refuse_device(device);
    }
    if (flags != nullptr) {
        *flags = 0;
    }
    DeviceState& state = device_state(device);
    const std::lock_guard<std::mutex> lock(state.mutex);
    *active = state.streams.empty() && state.peak == 0 ? 0 : 1;
    return 0;
}

aclError aclrtDeviceCanAccessPeer(int32_t* can, int32_t device, int32_t peer) {
    ACL_ENTER();
    *can = exists(device) && exists(peer) ? 1 : 0;
    return 0;
}

aclError aclrtDeviceEnablePeerAccess(int32_t peer, uint32_t flags) {
    (void)flags;
    ACL_ENTER();
    return set_peer_access(peer, true);
}

aclError aclrtDeviceDisablePeerAccess(int32_t peer) {
    ACL_ENTER();
    return set_peer_access(peer, false);
}

aclError aclrtDeviceGetBareTgid(int32_t* pid) {
    *pid = getpid();
    return 0;
}

aclError aclrtDeviceGetUuid(int32_t device, aclrtUuid* uuid) {
    ACL_ENTER();
    std::memset(uuid, 0, sizeof *uuid);
    std::snprintf(uuid->bytes, sizeof uuid->bytes, "emulated-npu-%d", device);
    return exists(device) ? 0 : refuse_device(device);
}

aclError aclrtGetLogicDevIdByUserDevId(const int32_t user_device, int32_t* const logic_device) {
    *logic_device = user_device;
    return 0;
}

aclError aclrtGetMemInfo(aclrtMemAttr attribute, size_t* free_bytes, size_t* total) {
    (void)attribute;
    ACL_ENTER();
    DeviceState& state = device_state(current_device());
    const std::lock_guard<std::mutex> lock(state.mutex);
    *total = total_memory();
    *free_bytes = total_memory() - state.used;
    return 0;
}

aclError aclrtGetMemUsageInfo(int32_t device, aclrtMemUsageInfo* info, size_t capacity,
                              size_t* count) {
    ACL_ENTER();
    if (!exists(device)) {
        return refuse_device(device);
    }
    DeviceState& state = device_state(device);
    const std::lock_guard<std::mutex> lock(state.mutex);
    *count = capacity == 0 ? 0 : 1;
    if (capacity != 0) {
        std::snprintf(info->name, sizeof info->name, "emulated");
        info->curMemSize = state.used;
        info->memPeakSize = state.peak;
    }
    return 0;
}
