// Failures on demand: ASCEND_EMULATOR_FAULT=function:n:code|hang|delay=ms;...
#pragma once

#include <string>
#include <vector>

namespace ascend_emulator {

struct Fault {
    enum class Kind { code, hang, delay };
    std::string function;
    long nth = 1;  // of the calls of that function, from 1
    Kind kind = Kind::code;
    long value = 0;  // the code, or the delay in ms
};

/// The plan in `text`; `problem` says what cannot be read.
std::vector<Fault> parse_faults(const std::string& text, std::string* problem);

bool has_faults();

/// Counts a call of `function`: 0, or the code that it has to return. A hang or a delay of a
/// function that queues work is left for take_task_fault; any other sleeps here.
int inject_fault(const char* function);

/// Says on standard error which faults of the plan did not happen: a name may be misspelt.
void report_missed_faults();

/// The hang or delay that the work being queued by this thread has to suffer.
bool take_task_fault(Fault* fault);

}  // namespace ascend_emulator
