#include "cpu/optimizer/kernels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
// clang-format off: the Vec must be included before the kernels, which are written in it
#include "cpu/simd/avx512.h"
#include "cpu/optimizer/kernel_loop.h"
// clang-format on

namespace ascend_ops {

constexpr KernelTable kernels_avx512 = make_kernels<Formula>();

}  // namespace ascend_ops
#else
namespace ascend_ops {

constexpr KernelTable kernels_avx512 = {};

}  // namespace ascend_ops
#endif
