#include "cpu/optimizer/kernels.h"

#if defined(__riscv_v) && __has_include(<riscv_vector.h>)
// clang-format off: the Vec must be included before the kernels, which are written in it
#include "cpu/simd/rvv.h"
#include "cpu/optimizer/kernel_loop.h"
// clang-format on

namespace ascend_ops {

constexpr KernelTable kernels_rvv = make_kernels<Formula>();

}  // namespace ascend_ops
#else
namespace ascend_ops {

constexpr KernelTable kernels_rvv = {};

}  // namespace ascend_ops
#endif
