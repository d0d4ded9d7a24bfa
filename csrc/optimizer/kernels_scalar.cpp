// clang-format off: the kernels are written over the Vec that comes first
#include "ascend_ops/simd/scalar.h"
#include "kernel_loop.h"
// clang-format on

namespace ascend_ops {

constexpr KernelTable kernels_scalar = make_kernels<Formula>();

}  // namespace ascend_ops
