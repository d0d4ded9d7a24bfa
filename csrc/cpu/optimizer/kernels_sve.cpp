#include "cpu/optimizer/kernels.h"

#if defined(__ARM_FEATURE_SVE) && __has_include(<arm_sve.h>)
// clang-format off: the Vec must be included before the kernels, which are written in it
#include "cpu/simd/sve.h"
#include "cpu/optimizer/kernel_loop.h"
// clang-format on

namespace ascend_ops {

constexpr KernelTable kernels_sve = make_kernels<Formula>();

}  // namespace ascend_ops
#else
namespace ascend_ops {

constexpr KernelTable kernels_sve = {};

}  // namespace ascend_ops
#endif
