// The AscendCL functions of devices and contexts.
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "acl/acl_rt.h"
#include "emulator/interface/handle.h"
#include "emulator/options/options.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"

using namespace ascend_emulator;

// Allowed before aclInit: torch's autograd engine calls it when it starts.
aclError aclrtGetDeviceCount(uint32_t* count) try {
    ACL_REQUIRE(count);
    *count = static_cast<uint32_t>(options().devices);
    return 0;
}
ACL_CATCH

aclError aclrtSetDevice(int32_t device) try {
    ACL_ENTER();
    if (const int refused = check_device(device)) {
        return refused;
    }
    set_current_device(device);
    return 0;
}
ACL_CATCH

// A probe: having no device is a result, and not an error to remember.
aclError aclrtGetDevice(int32_t* device) try {
    ACL_REQUIRE(device);
    if (current_device_or_none() < 0) {
        return ACL_ERROR_RT_CONTEXT_NULL;
    }
    *device = current_device_or_none();
    return 0;
}
ACL_CATCH

aclError aclrtResetDevice(int32_t device) try {
    ACL_ENTER();
    if (const int refused = check_device(device)) {
        return refused;
    }
    const int code = synchronize_device(device, -1);
    if (current_device_or_none() == device) {
        set_current_device(-1);
    }
    return code;
}
ACL_CATCH

aclError aclrtSynchronizeDevice() try {
    ACL_ENTER();
    return synchronize_device(current_device(), -1);
}
ACL_CATCH

aclError aclrtSynchronizeDeviceWithTimeout(int32_t timeout) try {
    ACL_ENTER();
    return synchronize_device(current_device(), timeout);
}
ACL_CATCH

aclError aclrtGetCurrentContext(aclrtContext* context) try {
    ACL_REQUIRE(context);
    if (current_device_or_none() < 0) {
        return ACL_ERROR_RT_CONTEXT_NULL;
    }
    *context = &device_state(current_device_or_none());
    return 0;
}
ACL_CATCH

aclError aclrtSetCurrentContext(aclrtContext context) try {
    ACL_ENTER();
    if (context == nullptr) {
        return fail(ACL_ERROR_RT_CONTEXT_NULL, "the context must not be null");
    }
    const int device = device_of_context(context);
    if (device < 0) {
        return fail(ACL_ERROR_RT_CONTEXT_NULL, address_text(context) + " is not a context");
    }
    set_current_device(device);
    return 0;
}
ACL_CATCH

aclError aclrtGetPrimaryCtxState(int32_t device, uint32_t* flags, int32_t* active) try {
    ACL_ENTER();
    ACL_REQUIRE(active);
    if (const int refused = check_device(device)) {
        return refused;
    }
    if (flags != nullptr) {
        *flags = 0;
    }
    DeviceState& state = device_state(device);
    const std::lock_guard<std::mutex> lock(state.mutex);
    *active = state.streams.empty() && state.peak == 0 ? 0 : 1;
    return 0;
}
ACL_CATCH

aclError aclrtDeviceCanAccessPeer(int32_t* can, int32_t device, int32_t peer) try {
    ACL_ENTER();
    ACL_REQUIRE(can);
    *can = device_exists(device) && device_exists(peer) ? 1 : 0;
    return 0;
}
ACL_CATCH

aclError aclrtDeviceEnablePeerAccess(int32_t peer, uint32_t flags) try {
    (void)flags;
    ACL_ENTER();
    if (const int refused = check_device(peer)) {
        return refused;
    }
    set_peer_access(peer, true);
    return 0;
}
ACL_CATCH

aclError aclrtDeviceDisablePeerAccess(int32_t peer) try {
    ACL_ENTER();
    if (const int refused = check_device(peer)) {
        return refused;
    }
    set_peer_access(peer, false);
    return 0;
}
ACL_CATCH

aclError aclrtDeviceGetBareTgid(int32_t* pid) try {
    ACL_REQUIRE(pid);
    *pid = getpid();
    return 0;
}
ACL_CATCH

aclError aclrtDeviceGetUuid(int32_t device, aclrtUuid* uuid) try {
    ACL_ENTER();
    ACL_REQUIRE(uuid);
    if (const int refused = check_device(device)) {
        return refused;
    }
    std::memset(uuid, 0, sizeof *uuid);
    std::snprintf(uuid->bytes, sizeof uuid->bytes, "emulated-npu-%d", device);
    return 0;
}
ACL_CATCH

aclError aclrtGetLogicDevIdByUserDevId(const int32_t user_device, int32_t* const logic_device) try {
    ACL_REQUIRE(logic_device);
    *logic_device = user_device;
    return 0;
}
ACL_CATCH

aclError aclrtGetMemInfo(aclrtMemAttr attribute, size_t* free_bytes, size_t* total) try {
    (void)attribute;
    ACL_ENTER();
    ACL_REQUIRE(free_bytes);
    ACL_REQUIRE(total);
    DeviceState& state = device_state(current_device());
    const std::lock_guard<std::mutex> lock(state.mutex);
    *total = total_memory();
    *free_bytes = total_memory() - state.used;
    return 0;
}
ACL_CATCH

aclError aclrtGetMemUsageInfo(int32_t device, aclrtMemUsageInfo* info, size_t capacity,
                              size_t* count) try {
    ACL_ENTER();
    ACL_REQUIRE(count);
    if (const int refused = check_device(device)) {
        return refused;
    }
    if (capacity != 0) {
        ACL_REQUIRE(info);
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
ACL_CATCH
