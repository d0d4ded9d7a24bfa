#include "adam_kernels.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
// clang-format off: the kernel is written over the Vec that comes first
#include "ascend_ops/simd/avx2.h"
#include "adam_kernel.h"
// clang-format on

namespace ascend_ops {

constexpr AdamKernels adam_kernels_avx2 = make_adam_kernels();

}  // namespace ascend_ops
#else
namespace ascend_ops {

constexpr AdamKernels adam_kernels_avx2 = {};

}  // namespace ascend_ops
#endif
