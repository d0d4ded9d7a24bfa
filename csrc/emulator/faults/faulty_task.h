// Tasks that ASCEND_EMULATOR_FAULT makes hang or start late.
#pragma once

#include "emulator/interface/services.h"

namespace ascend_emulator {

/// The task with the hang or delay that the plan has for the call that queues it, if any.
TaskPtr with_fault(TaskPtr task);

}  // namespace ascend_emulator
