#include "emulator/faults/fault_plan.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <sstream>

#include "emulator/options/options.h"
#include "emulator/runtime/objects/error.h"

namespace ascend_emulator {
namespace {

constexpr const char* phase_one = "GetWorkspaceSize";

thread_local bool has_task_fault = false;
thread_local Fault task_fault;

bool parse_number(const std::string& text, long* number) {
    char* end = nullptr;
    *number = std::strtol(text.c_str(), &end, 10);
    return !text.empty() && *end == '\0' && *number >= 0;
}

bool parse_one(const std::string& text, Fault* fault) {
    std::istringstream stream(text);
    std::string nth;
    std::string what;
    if (!std::getline(stream, fault->function, ':') || !std::getline(stream, nth, ':') ||
        !std::getline(stream, what) || !parse_number(nth, &fault->nth) || fault->nth < 1) {
        return false;
    }
    if (what == "hang") {
        fault->kind = Fault::Kind::hang;
        return true;
    }
    if (what.rfind("delay=", 0) == 0) {
        fault->kind = Fault::Kind::delay;
        return parse_number(what.substr(6), &fault->value);
    }
    return parse_number(what, &fault->value) && fault->value != 0;
}

/// Make the code of an aclnn function that of its phase 1. Hangs and delays happen in phase 2.
void aim_at_phase_one(Fault* fault) {
    if (fault->kind == Fault::Kind::code && fault->function.rfind("aclnn", 0) == 0 &&
        fault->function.find(phase_one) == std::string::npos) {
        fault->function += phase_one;
    }
}

/// Whether a hang or delay applies to the work that the function queues, and not to the call.
bool queues_work(const std::string& function) {
    const auto begins = [&function](const char* text) { return function.rfind(text, 0) == 0; };
    if (begins("aclnn")) {
        return function.find(phase_one) == std::string::npos;
    }
    if (begins("Hccl")) {
        return !begins("HcclComm") && !begins("HcclGet") && !begins("HcclGroup");
    }
    return begins("aclopCompileAndExecute") || begins("aclrtMemcpyAsync") ||
           function == "aclrtMemsetAsync" || function == "aclmdlRIExecuteAsync";
}

struct Plan {
    const Options* options;  // that it was read from; a fork may read others
    std::vector<Fault> faults;
};

const std::vector<Fault>& plan() {
    static std::atomic<const Plan*> current{nullptr};  // never freed: other threads may use it
    const Options& now = options();
    const Plan* found = current.load(std::memory_order_acquire);
    if (found == nullptr || found->options != &now) {
        std::string problem;
        found = new Plan{&now, parse_faults(now.fault, &problem)};
        current = found;
    }
    return found->faults;
}

/// Add to the number of calls of a function and return it.
long count_calls(const std::string& function, long added) {
    static std::mutex mutex;
    static auto* const counts = new std::map<std::string, long>;
    const std::lock_guard<std::mutex> lock(mutex);
    return (*counts)[function] += added;
}

int apply(const Fault& fault) {
    if (fault.kind == Fault::Kind::code) {
        return fail(static_cast<int>(fault.value),
                    "call " + std::to_string(fault.nth) +
                        " fails because ASCEND_EMULATOR_FAULT sets code " +
                        std::to_string(fault.value));
    }
    if (queues_work(fault.function)) {
        has_task_fault = true;
        task_fault = fault;
    } else if (fault.kind == Fault::Kind::delay) {
        usleep(static_cast<useconds_t>(fault.value * 1000));
    } else {
        for (;;) {
            pause();
        }
    }
    return 0;
}

}  // namespace

std::vector<Fault> parse_faults(const std::string& text, std::string* problem) {
    std::vector<Fault> faults;
    std::istringstream stream(text);
    for (std::string one; std::getline(stream, one, ';');) {
        Fault fault;
        if (one.empty()) {
            continue;
        }
        if (parse_one(one, &fault)) {
            aim_at_phase_one(&fault);
            faults.push_back(fault);
        } else {
            *problem =
                "ASCEND_EMULATOR_FAULT must be function:n:code, function:n:hang or "
                "function:n:delay=milliseconds, with n from 1 and several joined by ';', got '" +
                one + "'";
        }
    }
    return faults;
}

bool has_faults() { return !plan().empty(); }

int inject_fault(const char* function) {
    bool watched = false;
    for (const Fault& fault : plan()) {
        watched = watched || fault.function == function;
    }
    if (!watched) {
        return 0;
    }
    const long call = count_calls(function, 1);
    for (const Fault& fault : plan()) {
        if (fault.function == function && fault.nth == call) {
            return apply(fault);
        }
    }
    return 0;
}

void report_missed_faults() {
    for (const Fault& fault : plan()) {
        const long calls = count_calls(fault.function, 0);
        if (calls < fault.nth) {
            std::fprintf(stderr,
                         "[emulated NPU] ASCEND_EMULATOR_FAULT: the fault of call %ld of %s did "
                         "not happen: it was called %ld times\n",
                         fault.nth, fault.function.c_str(), calls);
        }
    }
}

bool take_task_fault(Fault* fault) {
    if (!has_task_fault) {
        return false;
    }
    has_task_fault = false;
    *fault = task_fault;
    return true;
}

}  // namespace ascend_emulator
