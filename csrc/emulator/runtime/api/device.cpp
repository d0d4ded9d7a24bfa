// The AscendCL functions that select, wait for and reset devices, and of peers.
#include <unistd.h>

#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"

using namespace ascend_emulator;

// Allowed before aclInit: torch's autograd engine calls it when it starts.
aclError aclrtGetDeviceCount(uint32_t* count) try {
    ACL_REQUIRE(count);
    *count = static_cast<uint32_t>(device_count());
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

// All calls of aclrtSetDevice for the device are undone at once; here, each reset does so.
aclError aclrtResetDeviceForce(int32_t device) try { return aclrtResetDevice(device); }
ACL_CATCH

aclError aclrtQueryDeviceStatus(int32_t device, aclrtDeviceStatus* status) try {
    ACL_ENTER();
    ACL_REQUIRE(status);
    if (const int refused = check_device(device)) {
        return refused;
    }
    *status = ACL_RT_DEVICE_STATUS_NORMAL;
    return 0;
}
ACL_CATCH

aclError aclrtGetRunMode(aclrtRunMode* mode) try {
    ACL_ENTER();
    ACL_REQUIRE(mode);
    *mode = ACL_HOST;  // the program runs beside the device, and not on it
    return 0;
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

aclError aclrtDevicePeerAccessStatus(int32_t device, int32_t peer, int32_t* status) try {
    ACL_ENTER();
    ACL_REQUIRE(status);
    int refused = check_device(device);
    refused = refused != 0 ? refused : check_device(peer);
    if (refused != 0) {
        return refused;
    }
    DeviceState& state = device_state(device);
    const std::lock_guard<std::mutex> lock(state.mutex);
    *status = state.peers.count(peer) != 0 ? 1 : 0;
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
