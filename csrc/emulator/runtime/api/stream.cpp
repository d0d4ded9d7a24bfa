// The AscendCL functions of streams.
#include <cstring>

#include "acl/acl_rt.h"
#include "emulator/checks/races.h"
#include "emulator/checks/stack.h"
#include "emulator/options/options.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/graph.h"
#include "emulator/runtime/objects/stream.h"
#include "emulator/runtime/objects/stream_config.h"

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

int check(aclrtStream handle) {
    return stream_of(handle) == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : 0;
}

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

aclError aclrtCreateStreamWithConfig(aclrtStream* handle, uint32_t priority, uint32_t flag) try {
    ACL_ENTER();
    ACL_REQUIRE(handle);
    *handle = create_stream({priority, flag}, !is_torch_npu(__builtin_return_address(0)));
    return 0;
}
ACL_CATCH

aclError aclrtCreateStream(aclrtStream* handle) try {
    ACL_ENTER();
    ACL_REQUIRE(handle);
    *handle = create_stream({}, !is_torch_npu(__builtin_return_address(0)));
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
    ACL_ENTER();
    ACL_REQUIRE(value);
    Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (attribute == ACL_STREAM_ATTR_FLOAT_OVERFLOW_CHECK) {
        stream->overflow_switch = value->overflowSwitch;
    } else if (attribute == ACL_STREAM_ATTR_USER_CUSTOM_TAG) {
        stream->user_tag = value->userCustomTag;
    }
    return 0;
}
ACL_CATCH

aclError aclrtGetStreamAttribute(aclrtStream handle, aclrtStreamAttr attribute,
                                 aclrtStreamAttrValue* value) try {
    ACL_ENTER();
    ACL_REQUIRE(value);
    const Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    std::memset(value, 0, sizeof *value);
    if (attribute == ACL_STREAM_ATTR_FLOAT_OVERFLOW_CHECK) {
        value->overflowSwitch = stream->overflow_switch;
    } else if (attribute == ACL_STREAM_ATTR_USER_CUSTOM_TAG) {
        value->userCustomTag = stream->user_tag;
    } else if (attribute == ACL_STREAM_ATTR_PRIORITY) {
        value->streamPriority = stream->settings().priority;
    }
    return 0;
}
ACL_CATCH

aclError aclrtStreamGetFlags(aclrtStream handle, uint32_t* flags) try {
    ACL_ENTER();
    ACL_REQUIRE(flags);
    const Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *flags = stream->settings().flags;
    return 0;
}
ACL_CATCH

aclError aclrtStreamGetPriority(aclrtStream handle, uint32_t* priority) try {
    ACL_ENTER();
    ACL_REQUIRE(priority);
    const Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *priority = stream->settings().priority;
    return 0;
}
ACL_CATCH

aclError aclrtGetStreamAvailableNum(uint32_t* count) try {
    ACL_ENTER();
    ACL_REQUIRE(count);
    constexpr uint32_t most =
        1984;  // of a 910B, in CANN's documentation; the emulator has no limit
    const std::size_t used = streams_of(current_device()).size();
    *count = used < most ? most - static_cast<uint32_t>(used) : 0;
    return 0;
}
ACL_CATCH

aclrtStreamConfigHandle* aclrtCreateStreamConfigHandle() try {
    return create_stream_config();
} catch (...) {
    caught(__func__);
    return nullptr;
}

aclError aclrtDestroyStreamConfigHandle(aclrtStreamConfigHandle* handle) try {
    return destroy_stream_config(handle);
}
ACL_CATCH

aclError aclrtSetStreamConfigOpt(aclrtStreamConfigHandle* handle, aclrtStreamConfigAttr attribute,
                                 const void* value, size_t bytes) try {
    ACL_REQUIRE(value);
    return set_stream_config(handle, attribute, value, bytes);
}
ACL_CATCH

aclError aclrtCreateStreamV2(aclrtStream* stream, const aclrtStreamConfigHandle* handle) try {
    ACL_ENTER();
    ACL_REQUIRE(stream);
    if (const int refused = check_stream_config(handle)) {
        return refused;
    }
    *stream = create_stream({handle->priority, static_cast<uint32_t>(handle->flag)},
                            !is_torch_npu(__builtin_return_address(0)));
    return 0;
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
