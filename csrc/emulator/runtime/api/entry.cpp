#include "emulator/runtime/api/entry.h"

#include <pthread.h>

#include <atomic>

#include "emulator/faults/fault_plan.h"
#include "emulator/options/options.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/trace/trace.h"

namespace ascend_emulator {
namespace {

std::atomic<State> current_state{State::fresh};
std::atomic<bool> is_forked_child{false};

int refuse_state() {
    const bool finalised = current_state == State::finalised;
    return fail(ACL_ERROR_UNINITIALIZE, finalised ? "called after aclFinalize"
                                                  : "called before aclInit; call aclInit first");
}

}  // namespace

void set_state(State state) { current_state = state; }
State state() { return current_state; }

void watch_forks() {
    static const bool watching = [] {
        pthread_atfork(nullptr, nullptr, [] { is_forked_child = true; });
        return true;
    }();
    (void)watching;
}

int enter(const char* function) {
    set_current_function(function);
    if (options().trace) {
        trace_text(function);
    }
    if (current_state != State::initialised) {
        return refuse_state();
    }
    if (is_forked_child) {
        return fail(ACL_ERROR_UNINITIALIZE,
                    "called in a forked child of a process that used the NPU: its streams exist "
                    "only in the parent. Fork before the first use, or start with spawn");
    }
    return has_faults() ? inject_fault(function) : 0;
}

}  // namespace ascend_emulator
