// The files of the family.
#pragma once

#include <vector>

#include "npu/call/call.h"
#include "npu/call/outputs.h"
#include "npu/call/registration.h"

namespace ascend_ops {

using torch::stable::Tensor;

std::vector<aclnn::Kernel> grouped_matmul_kernels();

}  // namespace ascend_ops
