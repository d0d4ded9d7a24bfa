// The AscendCL functions of streams, and of host functions that run on one.
#include <unistd.h>

#include "acl/acl_rt.h"
#include "emulator/checks/races.h"
#include "emulator/checks/stack.h"
#include "emulator/options/options.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/graph.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

int destroy(aclrtStream handle, bool drop) {
    if (handle == nullptr) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "the stream must not be null");
    }
    Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (capture_of(*stream) != nullptr) {
        return fail(ACL_ERROR_RT_MODEL_CAPTURED,
                    "the stream must not be destroyed while it is being captured");
    }
    return destroy_stream(stream, drop);
}

int synchronize(aclrtStream handle, int timeout_ms) {
    Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (capture_of(*stream) != nullptr) {
        return fail(ACL_ERROR_RT_MODEL_CAPTURED,
                    "the stream must not be waited for while it is being captured");
    }
    return stream->synchronize(timeout_ms);
}

int launch(aclrtStream handle, void (*function)(void*), void* argument) {
    if (function == nullptr) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "the function must not be null");
    }
    Stream* stream = stream_of(handle);
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE
                             : stream->push(host_function_task(function, argument));
}

int check(aclrtStream handle) {
    return stream_of(handle) == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : 0;
}

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

aclError aclrtCreateStreamWithConfig(aclrtStream* handle, uint32_t priority, uint32_t flag) try {
    (void)priority;
    (void)flag;
    ACL_ENTER();
    ACL_REQUIRE(handle);
    *handle = create_stream(!is_torch_npu(__builtin_return_address(0)));
    return 0;
}
ACL_CATCH

aclError aclrtCreateStream(aclrtStream* handle) try {
    ACL_ENTER();
    ACL_REQUIRE(handle);
    *handle = create_stream(!is_torch_npu(__builtin_return_address(0)));
    return 0;
}
ACL_CATCH

aclError aclrtDestroyStream(aclrtStream handle) try {
    ACL_ENTER();
    return destroy(handle, false);
}
ACL_CATCH

aclError aclrtDestroyStreamForce(aclrtStream handle) try {
    ACL_ENTER();
    return destroy(handle, true);
}
ACL_CATCH

aclError aclrtSynchronizeStream(aclrtStream handle) try {
    ACL_ENTER();
    return synchronize(handle, -1);
}
ACL_CATCH

aclError aclrtSynchronizeStreamWithTimeout(aclrtStream handle, int32_t timeout) try {
    ACL_ENTER();
    return synchronize(handle, timeout);
}
ACL_CATCH

aclError aclrtStreamQuery(aclrtStream handle, aclrtStreamStatus* status) try {
    ACL_ENTER();
    ACL_REQUIRE(status);
    Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    const bool idle = stream->is_idle();
    if (idle && options().races) {  // the host knows now
        note_host_wait(stream->device(), stream->id());
    }
    *status = idle ? ACL_STREAM_STATUS_COMPLETE : ACL_STREAM_STATUS_NOT_READY;
    return 0;
}
ACL_CATCH

aclError aclrtStreamGetId(aclrtStream handle, int32_t* id) try {
    ACL_ENTER();
    ACL_REQUIRE(id);
    Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *id = stream->id();
    return 0;
}
ACL_CATCH

aclError aclrtSetStreamFailureMode(aclrtStream handle, uint64_t mode) try {
    (void)mode;
    ACL_ENTER();
    return check(handle);
}
ACL_CATCH

aclError aclrtSetStreamAttribute(aclrtStream handle, aclrtStreamAttr attribute,
                                 aclrtStreamAttrValue* value) try {
    (void)attribute;
    (void)value;
    ACL_ENTER();
    return check(handle);
}
ACL_CATCH

aclError aclrtSetStreamOverflowSwitch(aclrtStream handle, uint32_t flag) try {
    ACL_ENTER();
    if (Stream* stream = stream_of(handle)) {
        stream->overflow_switch = flag;
        return 0;
    }
    return ACL_ERROR_RT_INVALID_HANDLE;
}
ACL_CATCH

aclError aclrtGetStreamOverflowSwitch(aclrtStream handle, uint32_t* flag) try {
    ACL_ENTER();
    ACL_REQUIRE(flag);
    if (Stream* stream = stream_of(handle)) {
        *flag = stream->overflow_switch;
        return 0;
    }
    return ACL_ERROR_RT_INVALID_HANDLE;
}
ACL_CATCH

aclError aclrtLaunchHostFunc(aclrtStream handle, aclrtHostFunc function, void* argument) try {
    ACL_ENTER();
    return launch(handle, function, argument);
}
ACL_CATCH

aclError aclrtLaunchCallback(aclrtCallback function, void* argument, aclrtCallbackBlockType type,
                             aclrtStream handle) try {
    (void)type;
    ACL_ENTER();
    return launch(handle, function, argument);
}
ACL_CATCH

// Callbacks run on the stream's own worker, so that subscribing has no effect.
aclError aclrtSubscribeReport(uint64_t thread, aclrtStream handle) try {
    (void)thread;
    ACL_ENTER();
    return check(handle);
}
ACL_CATCH

aclError aclrtUnSubscribeReport(uint64_t thread, aclrtStream handle) try {
    (void)thread;
    ACL_ENTER();
    return check(handle);
}
ACL_CATCH

aclError aclrtProcessReport(int32_t timeout) try {
    usleep(timeout > 0 ? static_cast<useconds_t>(timeout) * 1000 : 1000);
    return 0;
}
ACL_CATCH
