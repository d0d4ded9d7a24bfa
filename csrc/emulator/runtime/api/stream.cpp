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
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : destroy_stream(stream, drop);
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

aclError aclrtCreateStreamWithConfig(aclrtStream* handle, uint32_t priority, uint32_t flag) {
    (void)priority;
    (void)flag;
    ACL_ENTER();
    *handle = create_stream(!is_torch_npu(__builtin_return_address(0)));
    return 0;
}

aclError aclrtCreateStream(aclrtStream* handle) {
    ACL_ENTER();
    *handle = create_stream(!is_torch_npu(__builtin_return_address(0)));
    return 0;
}

aclError aclrtDestroyStream(aclrtStream handle) {
    ACL_ENTER();
    return destroy(handle, false);
}

aclError aclrtDestroyStreamForce(aclrtStream handle) {
    ACL_ENTER();
    return destroy(handle, true);
}

aclError aclrtSynchronizeStream(aclrtStream handle) {
    ACL_ENTER();
    return synchronize(handle, -1);
}

aclError aclrtSynchronizeStreamWithTimeout(aclrtStream handle, int32_t timeout) {
    ACL_ENTER();
    return synchronize(handle, timeout);
}

aclError aclrtStreamQuery(aclrtStream handle, aclrtStreamStatus* status) {
    ACL_ENTER();
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

aclError aclrtStreamGetId(aclrtStream handle, int32_t* id) {
    ACL_ENTER();
    Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *id = stream->id();
    return 0;
}

aclError aclrtSetStreamFailureMode(aclrtStream handle, uint64_t mode) {
    (void)mode;
    ACL_ENTER();
    return check(handle);
}

aclError aclrtSetStreamAttribute(aclrtStream handle, aclrtStreamAttr attribute,
                                 aclrtStreamAttrValue* value) {
    (void)attribute;
    (void)value;
    ACL_ENTER();
    return check(handle);
}

aclError aclrtSetStreamOverflowSwitch(aclrtStream handle, uint32_t flag) {
    ACL_ENTER();
    if (Stream* stream = stream_of(handle)) {
        stream->overflow_switch = flag;
        return 0;
    }
    return ACL_ERROR_RT_INVALID_HANDLE;
}

aclError aclrtGetStreamOverflowSwitch(aclrtStream handle, uint32_t* flag) {
    ACL_ENTER();
    if (Stream* stream = stream_of(handle)) {
        *flag = stream->overflow_switch;
        return 0;
    }
    return ACL_ERROR_RT_INVALID_HANDLE;
}

aclError aclrtLaunchHostFunc(aclrtStream handle, aclrtHostFunc function, void* argument) {
    ACL_ENTER();
    return launch(handle, function, argument);
}

aclError aclrtLaunchCallback(aclrtCallback function, void* argument, aclrtCallbackBlockType type,
                             aclrtStream handle) {
    (void)type;
    ACL_ENTER();
    return launch(handle, function, argument);
}

// Callbacks run on the stream's own worker, so that subscribing has no effect.
aclError aclrtSubscribeReport(uint64_t thread, aclrtStream handle) {
    (void)thread;
    ACL_ENTER();
    return check(handle);
}

aclError aclrtUnSubscribeReport(uint64_t thread, aclrtStream handle) {
    (void)thread;
    ACL_ENTER();
    return check(handle);
}

aclError aclrtProcessReport(int32_t timeout) {
    usleep(timeout > 0 ? static_cast<useconds_t>(timeout) * 1000 : 1000);
    return 0;
}
