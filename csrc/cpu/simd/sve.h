// A Vec of one SVE register of any length. simd/scalar.h describes the interface.
//
// bf16 is rounded with integer instructions, because BFCVT needs Armv8.6. 16-bit numbers are loaded
// into, and stored from, the lower halves of 32-bit lanes, where FCVT expects them. Sums of squares
// use NEON: to stay in registers they are members of a class, and SVE's types are sizeless.
#pragma once

#include <arm_sve.h>

#include <cstdint>

#include "cpu/dtype.h"
#include "cpu/simd/neon_square_sums.h"

namespace ascend_ops {
namespace {

using Vec = svfloat32_t;

constexpr std::int64_t max_width = 64;  // 2048 bits, the maximum of SVE
inline std::int64_t width() { return static_cast<std::int64_t>(svcntw()); }
inline svbool_t all() { return svptrue_b32(); }

inline Vec broadcast(float x) { return svdup_n_f32(x); }
inline Vec load(const float* from) { return svld1_f32(all(), from); }

inline Vec load(const BFloat16* from) {
    const svuint32_t stored = svld1uh_u32(all(), &from->bits);
    return svreinterpret_f32_u32(svlsl_n_u32_x(all(), stored, 16));
}

inline Vec load(const Float16* from) {
    const svuint32_t stored = svld1uh_u32(all(), &from->bits);
    return svcvt_f32_f16_x(all(), svreinterpret_f16_u32(stored));
}

inline void store(float* to, Vec v) { svst1_f32(all(), to, v); }

inline void store(BFloat16* to, Vec v) {
    const svuint32_t bits = svreinterpret_u32_f32(v);
    const svuint32_t odd = svand_n_u32_x(all(), svlsr_n_u32_x(all(), bits, 16), 1);
    const svuint32_t rounded = svadd_u32_x(all(), svadd_n_u32_x(all(), bits, 0x7fff), odd);
    // Rounding could turn a NaN into infinity.
    const svbool_t is_nan = svcmpuo_f32(all(), v, v);
    const svuint32_t quiet = svorr_n_u32_x(all(), bits, 0x00400000);
    const svuint32_t result = svsel_u32(is_nan, quiet, rounded);
    svst1h_u32(all(), &to->bits, svlsr_n_u32_x(all(), result, 16));
}

inline void store(Float16* to, Vec v) {
    svst1h_u32(all(), &to->bits, svreinterpret_u32_f16(svcvt_f16_f32_x(all(), v)));
}

template <class T>
inline void stream(T* to, Vec v) {
    store(to, v);
}
inline void finish_streams() {}

inline Vec add(Vec a, Vec b) { return svadd_f32_x(all(), a, b); }
inline Vec sub(Vec a, Vec b) { return svsub_f32_x(all(), a, b); }
inline Vec mul(Vec a, Vec b) { return svmul_f32_x(all(), a, b); }
inline Vec div(Vec a, Vec b) { return svdiv_f32_x(all(), a, b); }
inline Vec sqrt(Vec a) { return svsqrt_f32_x(all(), a); }
inline Vec fma(Vec a, Vec b, Vec c) { return svmla_f32_x(all(), c, a, b); }
inline Vec fnma(Vec a, Vec b, Vec c) { return svmls_f32_x(all(), c, a, b); }

// Not FMAX, which returns the NaN and treats +0 as greater than -0.
inline Vec max(Vec a, Vec b) { return svsel_f32(svcmpgt_f32(all(), a, b), a, b); }

inline Vec sign(Vec a) {
    const svuint32_t sign_bit = svand_n_u32_x(all(), svreinterpret_u32_f32(a), 0x80000000u);
    const svuint32_t one = svorr_n_u32_x(all(), sign_bit, 0x3f800000u);  // 1.0f
    const svbool_t is_nonzero_number = svacgt_f32(all(), a, svdup_n_f32(0.0f));
    return svsel_f32(is_nonzero_number, svreinterpret_f32_u32(one), a);
}

}  // namespace
}  // namespace ascend_ops
