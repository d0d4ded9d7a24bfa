#include "emulator/runtime/api/entry.h"

#include <exception>
#include <string>

#include "acl/acl_rt.h"
#include "emulator/faults/fault_plan.h"
#include "emulator/options/options.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/process_state.h"
#include "emulator/trace/trace.h"

namespace ascend_emulator {

int enter(const char* function) {
    set_current_function(function);
    if (options().trace) {
        trace_text(function);
    }
    if (state() == State::finalised) {
        return fail(ACL_ERROR_UNINITIALIZE, "called after aclFinalize");
    }
    if (state() == State::fresh) {
        if (const int code = initialise_implicitly()) {
            return code;
        }
        set_current_function(function);
    }
    if (is_forked_child()) {
        return fail(ACL_ERROR_UNINITIALIZE,
                    "called in a forked child of a process that used the NPU: its streams exist "
                    "only in the parent. Fork before the first use, or start with spawn");
    }
    return has_faults() ? inject_fault(function) : 0;
}

int check_pointer(const char* function, const void* pointer, const char* argument) {
    if (pointer != nullptr) {
        return 0;
    }
    set_current_function(function);
    return fail(ACL_ERROR_RT_PARAM_INVALID, std::string(argument) + " must not be null");
}

int caught(const char* function) {
    set_current_function(function);
    try {
        throw;
    } catch (const std::exception& error) {
        return fail(ACL_ERROR_INTERNAL_ERROR, error.what());
    } catch (...) {
        return fail(ACL_ERROR_INTERNAL_ERROR, "an exception of an unknown type");
    }
}

}  // namespace ascend_emulator
