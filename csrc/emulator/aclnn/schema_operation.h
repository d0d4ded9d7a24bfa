// Functions of CANN that are rows: operators of ATen, called by their schemas.
#pragma once

#include "emulator/aclnn/operation.h"
#include "emulator/aten/schema_call.h"

namespace ascend_emulator {

/// Whether the shape of the result is that which the inputs broadcast to.
bool schema_is_pointwise(const Operation& operation, const Arguments& arguments);

}  // namespace ascend_emulator
