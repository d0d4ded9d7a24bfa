#include "adam_kernels.h"

#if defined(__ARM_NEON) && defined(__aarch64__)
// clang-format off: the kernel is written over the Vec that comes first
#include "ascend_ops/simd/neon.h"
#include "adam_kernel.h"
// clang-format on

namespace ascend_ops {

constexpr AdamKernels adam_kernels_neon = make_adam_kernels();

}  // namespace ascend_ops
#else
namespace ascend_ops {

constexpr AdamKernels adam_kernels_neon = {};

}  // namespace ascend_ops
#endif
