#include "emulator/runtime/objects/context.h"

#include <mutex>

#include "acl/acl_rt.h"
#include "emulator/checks/live_handles.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

thread_local int device_of_thread = -1;
/// Null stands for the primary context of the thread's device.
thread_local Context* created_context = nullptr;

/// The context's default stream, created at its first use.
Stream* default_stream_of(Stream*& stream, int device) {
    DeviceState& state = device_state(device);
    const std::lock_guard<std::mutex> lock(state.mutex);
    if (stream == nullptr) {
        stream = create_default_stream(state, &stream == &state.default_stream);
    }
    return stream;
}

}  // namespace

int current_device_or_none() { return device_of_thread; }

int current_device() {
    if (device_of_thread < 0) {
        device_of_thread = 0;
    }
    return device_of_thread;
}

void set_current_device(int device) {
    device_of_thread = device;
    created_context = nullptr;
}

Context* primary_context(int device) {
    DeviceState& state = device_state(device);
    const std::lock_guard<std::mutex> lock(state.mutex);
    if (state.primary == nullptr) {
        state.primary = make_handle<Context>(Context{device});
    }
    return state.primary;
}

Context* create_context(int device) {
    auto* context = make_handle<Context>(Context{device});
    count_handle(HandleKind::context, 1);
    set_current_context(context);
    return context;
}

int destroy_context(void* handle) {
    auto* context = static_cast<Context*>(handle);
    const std::string problem = why_unusable(context);
    if (!problem.empty()) {
        return fail(ACL_ERROR_RT_CONTEXT_NULL, problem);
    }
    if (context == primary_context(context->device)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "the context must be one that aclrtCreateContext returned, got the primary "
                    "context of device " +
                        std::to_string(context->device));
    }
    Stream* stream = nullptr;
    {
        DeviceState& state = device_state(context->device);
        const std::lock_guard<std::mutex> lock(state.mutex);
        stream = context->default_stream;
    }
    if (stream != nullptr) {
        if (const int code = destroy_stream(stream, false)) {
            return code;
        }
    }
    if (created_context == context) {
        set_current_device(-1);
    }
    count_handle(HandleKind::context, -1);
    destroy_handle(context);
    return 0;
}

Context* current_context_or_none() {
    if (device_of_thread < 0) {
        return nullptr;
    }
    if (created_context == nullptr) {
        return primary_context(device_of_thread);
    }
    return why_unusable(created_context).empty() ? created_context : nullptr;
}

int set_current_context(void* handle) {
    auto* context = static_cast<Context*>(handle);
    const std::string problem = why_unusable(context);
    if (!problem.empty()) {
        return fail(ACL_ERROR_RT_CONTEXT_NULL, problem);
    }
    device_of_thread = context->device;
    created_context = context == primary_context(context->device) ? nullptr : context;
    return 0;
}

Stream* current_default_stream() {
    if (created_context == nullptr) {
        const int device = current_device();
        return default_stream_of(device_state(device).default_stream, device);
    }
    const std::string problem = why_unusable(created_context);
    if (!problem.empty()) {
        fail(ACL_ERROR_RT_CONTEXT_NULL, problem);
        return nullptr;
    }
    return default_stream_of(created_context->default_stream, created_context->device);
}

}  // namespace ascend_emulator
