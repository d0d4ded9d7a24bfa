// What phase 1 checks of a function's arguments before anything is queued.
#pragma once

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

/// The first reason to refuse the arguments; its text is empty if they are accepted.
Problem why_refused(const Operation& operation, const Arguments& arguments);

}  // namespace ascend_emulator
