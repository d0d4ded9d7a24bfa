#include "cpu/optimizer/kernels.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
// clang-format off: the Vec must be included before the kernels, which are written in it
#include "cpu/simd/avx2.h"
#include "cpu/optimizer/kernel_loop.h"
// clang-format on

namespace ascend_ops {

constexpr KernelTable kernels_avx2 = make_kernels<Formula>();

}  // namespace ascend_ops
#else
namespace ascend_ops {

constexpr KernelTable kernels_avx2 = {};

}  // namespace ascend_ops
#endif
