#include "adam_kernels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
// clang-format off: the kernel is written over the Vec that comes first
#include "ascend_ops/simd/avx512.h"
#include "adam_kernel.h"
// clang-format on

namespace ascend_ops {

constexpr AdamKernels adam_kernels_avx512 = make_adam_kernels();

}  // namespace ascend_ops
#else
namespace ascend_ops {

constexpr AdamKernels adam_kernels_avx512 = {};

}  // namespace ascend_ops
#endif
