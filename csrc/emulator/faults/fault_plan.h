// Failures on demand: ASCEND_EMULATOR_FAULT=function:n:code|hang|delay=ms;...
#pragma once

#include <string>
#include <vector>

namespace ascend_emulator {

struct Fault {
    enum class Kind { code, hang, delay };
    std::string function;
    long nth = 1;  // call of that function, counted from 1
    Kind kind = Kind::code;
    long value = 0;  // the code, or the delay in ms
};

/// Parse a plan; `problem` becomes a message if a part of it cannot be read.
std::vector<Fault> parse_faults(const std::string& text, std::string* problem);

bool has_faults();

/// Count a call of `function`. Returns 0, or the code that the function must return. The hang or
/// delay of a function that queues work is left for take_task_fault; that of any other happens
/// here.
int inject_fault(const char* function);

/// Print the faults of the plan that did not happen, as their names may be misspelt.
void report_missed_faults();

/// Take the hang or delay of the work that this thread is queueing; false if it has neither.
bool take_task_fault(Fault* fault);

}  // namespace ascend_emulator
