// The number of live handles of each kind, and the report at exit of what is left.
#pragma once

#include <string>

#include "emulator/interface/handle.h"

namespace ascend_emulator {

void count_handle(HandleKind kind, int change);
long live_handles(HandleKind kind);

/// A list of what was not destroyed or freed, or "".
std::string describe_leaks();

/// Print describe_leaks() once, if ASCEND_EMULATOR_LEAKS is on.
void report_leaks();

}  // namespace ascend_emulator
