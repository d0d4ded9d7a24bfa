#include "emulator/runtime/api/entry.h"

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
    if (state() != State::initialised) {
        return fail(ACL_ERROR_UNINITIALIZE, state() == State::finalised
                                                ? "called after aclFinalize"
                                                : "called before aclInit; call aclInit first");
    }
    if (is_forked_child()) {
        return fail(ACL_ERROR_UNINITIALIZE,
                    "called in a forked child of a process that used the NPU: its streams exist "
                    "only in the parent. Fork before the first use, or start with spawn");
    }
    return has_faults() ? inject_fault(function) : 0;
}

}  // namespace ascend_emulator
