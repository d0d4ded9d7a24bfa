// The AscendCL functions that limit the cores which operators may use.
#include "emulator/runtime/objects/resource_limits.h"

#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/stream.h"

using namespace ascend_emulator;

aclError aclrtSetDeviceResLimit(int32_t device, aclrtDevResLimitType type, uint32_t value) try {
    ACL_ENTER();
    const int refused = check_device(device);
    return refused != 0 ? refused : limit_device(device, type, value);
}
ACL_CATCH

aclError aclrtGetDeviceResLimit(int32_t device, aclrtDevResLimitType type, uint32_t* value) try {
    ACL_ENTER();
    ACL_REQUIRE(value);
    if (const int refused = check_device(device)) {
        return refused;
    }
    *value = device_limit(device, type);
    return 0;
}
ACL_CATCH

aclError aclrtResetDeviceResLimit(int32_t device) try {
    ACL_ENTER();
    if (const int refused = check_device(device)) {
        return refused;
    }
    unlimit_device(device);
    return 0;
}
ACL_CATCH

aclError aclrtSetStreamResLimit(aclrtStream handle, aclrtDevResLimitType type, uint32_t value) try {
    ACL_ENTER();
    const Stream* stream = stream_of(handle);
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : limit_stream(*stream, type, value);
}
ACL_CATCH

aclError aclrtGetStreamResLimit(aclrtStream handle, aclrtDevResLimitType type,
                                uint32_t* value) try {
    ACL_ENTER();
    ACL_REQUIRE(value);
    const Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *value = stream_limit(*stream, type);
    return 0;
}
ACL_CATCH

aclError aclrtResetStreamResLimit(aclrtStream handle) try {
    ACL_ENTER();
    const Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    unlimit_stream(*stream);
    return 0;
}
ACL_CATCH

aclError aclrtUseStreamResInCurrentThread(aclrtStream handle) try {
    ACL_ENTER();
    const Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    use_limits_of(stream);
    return 0;
}
ACL_CATCH

aclError aclrtUnuseStreamResInCurrentThread(aclrtStream handle) try {
    ACL_ENTER();
    if (stream_of(handle) == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    use_limits_of(nullptr);
    return 0;
}
ACL_CATCH

aclError aclrtGetResInCurrentThread(aclrtDevResLimitType type, uint32_t* value) try {
    ACL_ENTER();
    ACL_REQUIRE(value);
    *value = thread_limit(type);
    return 0;
}
ACL_CATCH
