// The AscendCL functions of host functions that run on a stream.
#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/host_callbacks.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

int check(HostCallback function) {
    return function != nullptr ? 0
                               : fail(ACL_ERROR_RT_PARAM_INVALID, "the function must not be null");
}

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

// Runs on the thread that has subscribed to the stream, or on the stream's own.
aclError aclrtLaunchHostFunc(aclrtStream handle, aclrtHostFunc function, void* argument) try {
    ACL_ENTER();
    const int refused = check(function);
    Stream* stream = refused != 0 ? nullptr : stream_of(handle);
    if (stream == nullptr) {
        return refused != 0 ? refused : ACL_ERROR_RT_INVALID_HANDLE;
    }
    return stream->push(is_subscribed(*stream) ? callback_task(*stream, function, argument, true)
                                               : host_function_task(function, argument));
}
ACL_CATCH

aclError aclrtLaunchCallback(aclrtCallback function, void* argument, aclrtCallbackBlockType type,
                             aclrtStream handle) try {
    ACL_ENTER();
    const int refused = check(function);
    Stream* stream = refused != 0 ? nullptr : stream_of(handle);
    if (stream == nullptr) {
        return refused != 0 ? refused : ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (!is_subscribed(*stream)) {
        return fail(ACL_ERROR_RT_STREAM_NO_CB_REG,
                    "a thread must be subscribed to the stream first (aclrtSubscribeReport)");
    }
    return stream->push(callback_task(*stream, function, argument, type == ACL_CALLBACK_BLOCK));
}
ACL_CATCH

aclError aclrtSubscribeReport(uint64_t thread, aclrtStream handle) try {
    ACL_ENTER();
    const Stream* stream = stream_of(handle);
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : subscribe(thread, *stream);
}
ACL_CATCH

aclError aclrtUnSubscribeReport(uint64_t thread, aclrtStream handle) try {
    ACL_ENTER();
    const Stream* stream = stream_of(handle);
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : unsubscribe(thread, *stream);
}
ACL_CATCH

aclError aclrtProcessReport(int32_t timeout) try {
    ACL_ENTER();
    return process_callbacks(timeout);
}
ACL_CATCH

// One subscription serves both kinds of functions.
aclError aclrtSubscribeHostFunc(uint64_t thread, aclrtStream stream) try {
    return aclrtSubscribeReport(thread, stream);
}
ACL_CATCH

aclError aclrtUnSubscribeHostFunc(uint64_t thread, aclrtStream stream) try {
    return aclrtUnSubscribeReport(thread, stream);
}
ACL_CATCH

aclError aclrtProcessHostFunc(int32_t timeout) try { return aclrtProcessReport(timeout); }
ACL_CATCH
