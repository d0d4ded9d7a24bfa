// A task that ASCEND_EMULATOR_FAULT lets hang or start late.
#pragma once

#include "emulator/interface/services.h"

namespace ascend_emulator {

/// `task`, with the hang or delay that the call which queues it was given.
TaskPtr with_fault(TaskPtr task);

}  // namespace ascend_emulator
