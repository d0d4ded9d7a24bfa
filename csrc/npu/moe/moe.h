// Declarations that the files of the family share.
#pragma once

#include <vector>

#include "npu/call/call.h"
#include "npu/call/outputs.h"
#include "npu/call/registration.h"

namespace ascend_ops {

using torch::stable::Tensor;

/// Return the kernels that grouped_matmul.cpp defines.
std::vector<aclnn::Kernel> grouped_matmul_kernels();

}  // namespace ascend_ops
