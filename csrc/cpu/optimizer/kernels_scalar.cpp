// clang-format off: the kernels are written over the Vec that comes first
#include "cpu/simd/scalar.h"
#include "cpu/optimizer/kernel_loop.h"
// clang-format on

namespace ascend_ops {

constexpr KernelTable kernels_scalar = make_kernels<Formula>();

}  // namespace ascend_ops
