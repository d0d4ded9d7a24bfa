// The SoC of the NPUs of this process.
#pragma once

#include "npu/call/export.h"

namespace ascend_ops::aclnn {

/// Return whether AscendCL reports an Ascend 950, which has functions of its own; false if
/// torch_npu cannot be used. Python gets the answer through `implementations()`.
ASCEND_OPS_EXPORT bool is_ascend950();

}  // namespace ascend_ops::aclnn
