// clang-format off: the Vec must be included before the kernels, which are written in it
#include "cpu/simd/scalar.h"
#include "cpu/optimizer/kernel_loop.h"
// clang-format on

namespace ascend_ops {

constexpr KernelTable kernels_scalar = make_kernels<Formula>();

}  // namespace ascend_ops
