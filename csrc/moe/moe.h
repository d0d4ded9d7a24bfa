// The files of the family.
#pragma once

#include <vector>

#include "aclnn/call.h"
#include "aclnn/outputs.h"
#include "aclnn/registration.h"

namespace ascend_ops {

using torch::stable::Tensor;

std::vector<aclnn::Kernel> grouped_matmul_kernels();

}  // namespace ascend_ops
