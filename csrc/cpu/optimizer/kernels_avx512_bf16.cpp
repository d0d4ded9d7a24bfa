#include "cpu/optimizer/kernels.h"

// Enables AVX512_BF16 here and not by a flag, which GCC 9 would reject.
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && \
    (defined(__clang__) || __GNUC__ >= 10)
#define ASCEND_OPS_AVX512_BF16
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512bf16"))), apply_to = function)
#else
#pragma GCC target("avx512bf16")
#endif
// clang-format off: the Vec must be included before the kernels, which are written in it
#include "cpu/simd/avx512.h"
#include "cpu/optimizer/kernel_loop.h"
// clang-format on
#if defined(__clang__)
#pragma clang attribute pop
#endif

namespace ascend_ops {

constexpr KernelTable kernels_avx512_bf16 = make_kernels<Formula>();

}  // namespace ascend_ops
#else
namespace ascend_ops {

constexpr KernelTable kernels_avx512_bf16 = {};

}  // namespace ascend_ops
#endif
