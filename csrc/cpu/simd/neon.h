// A Vec of four lanes for the aarch64 baseline. simd/scalar.h describes the interface.
//
// bf16 is rounded with integer instructions, because BFCVTN needs Armv8.6. Conversions to and from
// fp16 are part of Armv8.0. The fp16 arithmetic of Armv8.2 is not used, since results are in fp32.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "cpu/dtype.h"
#include "cpu/simd/neon_square_sums.h"

namespace ascend_ops {
namespace {

struct Vec {
    float32x4_t value;
};

constexpr std::int64_t max_width = 4;
constexpr std::int64_t width() { return max_width; }

inline Vec broadcast(float x) { return {vdupq_n_f32(x)}; }
inline Vec load(const float* from) { return {load_four(from)}; }
inline Vec load(const BFloat16* from) { return {load_four(from)}; }
inline Vec load(const Float16* from) { return {load_four(from)}; }

inline void store(float* to, Vec v) { vst1q_f32(to, v.value); }

inline void store(BFloat16* to, Vec v) {
    const uint32x4_t bits = vreinterpretq_u32_f32(v.value);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, odd), vdupq_n_u32(0x7fff));
    // Rounding could turn a NaN into infinity.
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x00400000));
    const uint32x4_t is_number = vceqq_f32(v.value, v.value);
    vst1_u16(&to->bits, vshrn_n_u32(vbslq_u32(is_number, rounded, quiet), 16));
}

inline void store(Float16* to, Vec v) {
    vst1_u16(&to->bits, vreinterpret_u16_f16(vcvt_f16_f32(v.value)));
}

template <class T>
inline void stream(T* to, Vec v) {
    store(to, v);
}
inline void finish_streams() {}

inline Vec add(Vec a, Vec b) { return {vaddq_f32(a.value, b.value)}; }
inline Vec sub(Vec a, Vec b) { return {vsubq_f32(a.value, b.value)}; }
inline Vec mul(Vec a, Vec b) { return {vmulq_f32(a.value, b.value)}; }
inline Vec div(Vec a, Vec b) { return {vdivq_f32(a.value, b.value)}; }
inline Vec sqrt(Vec a) { return {vsqrtq_f32(a.value)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.value, a.value, b.value)}; }
inline Vec fnma(Vec a, Vec b, Vec c) { return {vfmsq_f32(c.value, a.value, b.value)}; }

// Not FMAX, which returns the NaN and treats +0 as greater than -0.
inline Vec max(Vec a, Vec b) { return {vbslq_f32(vcgtq_f32(a.value, b.value), a.value, b.value)}; }

inline Vec sign(Vec a) {
    const uint32x4_t is_nonzero_number = vcgtq_f32(vabsq_f32(a.value), vdupq_n_f32(0.0f));
    const float32x4_t one = vbslq_f32(vdupq_n_u32(0x80000000u), a.value, vdupq_n_f32(1.0f));
    return {vbslq_f32(is_nonzero_number, one, a.value)};
}

}  // namespace
}  // namespace ascend_ops
