// How many handles of each kind are alive, and the report of what is left at exit.
#pragma once

#include <string>

#include "emulator/interface/handle.h"

namespace ascend_emulator {

void count_handle(HandleKind kind, int change);
long live_handles(HandleKind kind);

/// What the end of the process finds undestroyed and unfreed; "" for nothing.
std::string describe_leaks();

/// Prints describe_leaks() once, where ASCEND_EMULATOR_LEAKS asks for it.
void report_leaks();

}  // namespace ascend_emulator
