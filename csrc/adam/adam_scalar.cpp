// clang-format off: the kernel is written over the Vec that comes first
#include "ascend_ops/simd/scalar.h"
#include "adam_kernel.h"
// clang-format on

namespace ascend_ops {

constexpr AdamKernels adam_kernels_scalar = make_adam_kernels();

}  // namespace ascend_ops
