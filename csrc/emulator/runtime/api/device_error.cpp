// The AscendCL functions of faulty devices. An emulated device has no faults of hardware, so that
// there is nothing to describe and nothing to repair.
#include <cstring>

#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"

using namespace ascend_emulator;

aclError aclrtGetErrorVerbose(int32_t device, aclrtErrorInfo* info) try {
    ACL_ENTER();
    ACL_REQUIRE(info);
    if (const int refused = check_device(device)) {
        return refused;
    }
    std::memset(info, 0, sizeof *info);
    info->errorType = ACL_RT_NO_ERROR;
    return 0;
}
ACL_CATCH

aclError aclrtRepairError(int32_t device, const aclrtErrorInfo* info) try {
    ACL_ENTER();
    ACL_REQUIRE(info);
    if (const int refused = check_device(device)) {
        return refused;
    }
    return info->errorType == ACL_RT_NO_ERROR
               ? 0
               : fail(ACL_ERROR_RT_PARAM_INVALID,
                      "errorType must be ACL_RT_NO_ERROR, which aclrtGetErrorVerbose returned, "
                      "got " +
                          std::to_string(info->errorType));
}
ACL_CATCH

aclError aclrtGetMemUceInfo(int32_t device, aclrtMemUceInfo* infos, size_t capacity,
                            size_t* count) try {
    (void)capacity;
    ACL_ENTER();
    ACL_REQUIRE(infos);
    ACL_REQUIRE(count);
    if (const int refused = check_device(device)) {
        return refused;
    }
    *count = 0;
    return 0;
}
ACL_CATCH

aclError aclrtMemUceRepair(int32_t device, aclrtMemUceInfo* infos, size_t count) try {
    (void)infos;
    ACL_ENTER();
    if (const int refused = check_device(device)) {
        return refused;
    }
    return count == 0 ? 0
                      : fail(ACL_ERROR_RT_PARAM_INVALID,
                             "arraySize must be 0, the number of memory errors that "
                             "aclrtGetMemUceInfo returned, got " +
                                 std::to_string(count));
}
ACL_CATCH

// What has not begun is dropped. A task that runs goes on, as a thread cannot be interrupted.
aclError aclrtDeviceTaskAbort(int32_t device, uint32_t timeout) try {
    ACL_ENTER();
    if (const int refused = check_device(device)) {
        return refused;
    }
    for (Stream* stream : streams_of(device)) {
        stream->drop_queued();
    }
    return synchronize_device(device, timeout == 0 ? -1 : static_cast<int>(timeout));
}
ACL_CATCH

aclError aclrtStreamAbort(aclrtStream handle) try {
    ACL_ENTER();
    Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    stream->drop_queued();
    return 0;
}
ACL_CATCH
