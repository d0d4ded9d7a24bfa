// The AscendCL functions of contexts.
#include "emulator/runtime/objects/context.h"

#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"

using namespace ascend_emulator;

aclError aclrtCreateContext(aclrtContext* context, int32_t device) try {
    ACL_ENTER();
    ACL_REQUIRE(context);
    if (const int refused = check_device(device)) {
        return refused;
    }
    *context = create_context(device);
    return 0;
}
ACL_CATCH

aclError aclrtDestroyContext(aclrtContext context) try {
    ACL_ENTER();
    return destroy_context(context);
}
ACL_CATCH

aclError aclrtCtxGetCurrentDefaultStream(aclrtStream* stream) try {
    ACL_ENTER();
    ACL_REQUIRE(stream);
    *stream = current_default_stream();
    return *stream == nullptr ? ACL_ERROR_RT_CONTEXT_NULL : 0;
}
ACL_CATCH

aclError aclrtGetCurrentContext(aclrtContext* context) try {
    ACL_REQUIRE(context);
    if (current_device_or_none() < 0) {
        return ACL_ERROR_RT_CONTEXT_NULL;
    }
    *context = current_context_or_none();
    if (*context == nullptr) {
        return fail(ACL_ERROR_RT_CONTEXT_NULL, "the context of this thread was destroyed");
    }
    return 0;
}
ACL_CATCH

aclError aclrtSetCurrentContext(aclrtContext context) try {
    ACL_ENTER();
    return set_current_context(context);
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
