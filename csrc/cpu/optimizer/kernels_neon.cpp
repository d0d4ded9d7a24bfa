#include "cpu/optimizer/kernels.h"

#if defined(__ARM_NEON) && defined(__aarch64__)
// clang-format off: the Vec must be included before the kernels, which are written in it
#include "cpu/simd/neon.h"
#include "cpu/optimizer/kernel_loop.h"
// clang-format on

namespace ascend_ops {

constexpr KernelTable kernels_neon = make_kernels<Formula>();

}  // namespace ascend_ops
#else
namespace ascend_ops {

constexpr KernelTable kernels_neon = {};

}  // namespace ascend_ops
#endif
