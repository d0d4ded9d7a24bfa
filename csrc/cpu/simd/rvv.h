// A Vec of two registers of RISC-V's vector extension, of up to 512 bits each; longer registers are
// used in part. simd/scalar.h describes the interface.
//
// This needs only V itself, not Zvfhmin: fp16 and bf16 are converted with integer instructions.
#pragma once

#include <riscv_vector.h>

#include <cstdint>

#include "cpu/dtype.h"
#include "cpu/simd/square_sum_lanes.h"

namespace ascend_ops {
namespace {

using Vec = vfloat32m2_t;
using Bits = vuint32m2_t;

constexpr std::int64_t max_width = 32;
inline std::size_t lanes() { return __riscv_vsetvl_e32m2(max_width); }
inline std::int64_t width() { return static_cast<std::int64_t>(lanes()); }

inline Bits bits_of(Vec v) { return __riscv_vreinterpret_v_f32m2_u32m2(v); }
inline Vec float_of(Bits bits) { return __riscv_vreinterpret_v_u32m2_f32m2(bits); }

inline Bits load_words(const std::uint16_t* from) {
    return __riscv_vzext_vf2_u32m2(__riscv_vle16_v_u16m1(from, lanes()), lanes());
}
inline void store_words(std::uint16_t* to, Bits words) {
    __riscv_vse16_v_u16m1(to, __riscv_vncvt_x_x_w_u16m1(words, lanes()), lanes());
}

inline Vec broadcast(float x) { return __riscv_vfmv_v_f_f32m2(x, lanes()); }
inline Vec load(const float* from) { return __riscv_vle32_v_f32m2(from, lanes()); }

inline Vec load(const BFloat16* from) {
    return float_of(__riscv_vsll_vx_u32m2(load_words(&from->bits), 16, lanes()));
}

// The same steps as to_float(Float16) in simd/scalar.h.
inline Vec load(const Float16* from) {
    const std::size_t n = lanes();
    const Bits stored = load_words(&from->bits);
    const Bits sign = __riscv_vsll_vx_u32m2(__riscv_vand_vx_u32m2(stored, 0x8000u, n), 16, n);
    const Bits exponent = __riscv_vand_vx_u32m2(stored, 0x7c00u, n);
    const Bits mantissa = __riscv_vand_vx_u32m2(stored, 0x03ffu, n);
    const Bits shifted = __riscv_vsll_vx_u32m2(__riscv_vand_vx_u32m2(stored, 0x7fffu, n), 13, n);
    Bits value = __riscv_vadd_vx_u32m2(shifted, 112u << 23, n);
    const vbool16_t special = __riscv_vmseq_vx_u32m2_b16(exponent, 0x7c00u, n);
    value =
        __riscv_vmerge_vvm_u32m2(value, __riscv_vadd_vx_u32m2(value, 112u << 23, n), special, n);
    const vbool16_t nan =
        __riscv_vmand_mm_b16(special, __riscv_vmsne_vx_u32m2_b16(mantissa, 0, n), n);
    value = __riscv_vmerge_vvm_u32m2(value, __riscv_vor_vx_u32m2(value, 0x00400000u, n), nan, n);
    const Vec subnormal =
        __riscv_vfmul_vf_f32m2(__riscv_vfcvt_f_xu_v_f32m2(mantissa, n), 0x1p-24f, n);
    const vbool16_t small = __riscv_vmseq_vx_u32m2_b16(exponent, 0, n);
    value = __riscv_vmerge_vvm_u32m2(value, bits_of(subnormal), small, n);
    return float_of(__riscv_vor_vv_u32m2(value, sign, n));
}

inline void store(float* to, Vec v) { __riscv_vse32_v_f32m2(to, v, lanes()); }

inline void store(BFloat16* to, Vec v) {
    const std::size_t n = lanes();
    const Bits bits = bits_of(v);
    const Bits odd = __riscv_vand_vx_u32m2(__riscv_vsrl_vx_u32m2(bits, 16, n), 1, n);
    const Bits rounded = __riscv_vadd_vv_u32m2(__riscv_vadd_vx_u32m2(bits, 0x7fff, n), odd, n);
    // Rounding could turn a NaN into infinity.
    const Bits quiet = __riscv_vor_vx_u32m2(bits, 0x00400000u, n);
    const vbool16_t is_nan = __riscv_vmfne_vv_f32m2_b16(v, v, n);
    const Bits chosen = __riscv_vmerge_vvm_u32m2(rounded, quiet, is_nan, n);
    store_words(&to->bits, __riscv_vsrl_vx_u32m2(chosen, 16, n));
}

// The same steps as to_float16() in simd/scalar.h.
inline void store(Float16* to, Vec v) {
    const std::size_t n = lanes();
    const Bits bits = bits_of(v);
    const Bits sign = __riscv_vand_vx_u32m2(__riscv_vsrl_vx_u32m2(bits, 16, n), 0x8000u, n);
    const Bits magnitude = __riscv_vand_vx_u32m2(bits, 0x7fffffffu, n);
    const Bits kept = __riscv_vsrl_vx_u32m2(magnitude, 13, n);
    const Bits odd = __riscv_vand_vx_u32m2(kept, 1, n);
    const Bits biased = __riscv_vadd_vx_u32m2(magnitude, 0x0fffu - (112u << 23), n);
    Bits half = __riscv_vsrl_vx_u32m2(__riscv_vadd_vv_u32m2(biased, odd, n), 13, n);
    const Bits subnormal = __riscv_vsub_vx_u32m2(
        bits_of(__riscv_vfadd_vf_f32m2(float_of(magnitude), 0.5f, n)), 0x3f000000u, n);
    half = __riscv_vmerge_vvm_u32m2(half, subnormal,
                                    __riscv_vmsltu_vx_u32m2_b16(magnitude, 0x38800000u, n), n);
    half = __riscv_vmerge_vxm_u32m2(half, 0x7c00u,
                                    __riscv_vmsgeu_vx_u32m2_b16(magnitude, 0x477ff000u, n), n);
    const Bits nan = __riscv_vor_vx_u32m2(__riscv_vand_vx_u32m2(kept, 0x03ffu, n), 0x7e00u, n);
    half = __riscv_vmerge_vvm_u32m2(half, nan,
                                    __riscv_vmsgtu_vx_u32m2_b16(magnitude, 0x7f800000u, n), n);
    store_words(&to->bits, __riscv_vor_vv_u32m2(half, sign, n));
}

template <class T>
inline void stream(T* to, Vec v) {
    store(to, v);
}
inline void finish_streams() {}

inline Vec add(Vec a, Vec b) { return __riscv_vfadd_vv_f32m2(a, b, lanes()); }
inline Vec sub(Vec a, Vec b) { return __riscv_vfsub_vv_f32m2(a, b, lanes()); }
inline Vec mul(Vec a, Vec b) { return __riscv_vfmul_vv_f32m2(a, b, lanes()); }
inline Vec div(Vec a, Vec b) { return __riscv_vfdiv_vv_f32m2(a, b, lanes()); }
inline Vec sqrt(Vec a) { return __riscv_vfsqrt_v_f32m2(a, lanes()); }
inline Vec fma(Vec a, Vec b, Vec c) { return __riscv_vfmacc_vv_f32m2(c, a, b, lanes()); }
inline Vec fnma(Vec a, Vec b, Vec c) { return __riscv_vfnmsac_vv_f32m2(c, a, b, lanes()); }

// Not VFMAX, which returns the number if the other operand is a NaN.
inline Vec max(Vec a, Vec b) {
    const vbool16_t greater = __riscv_vmfgt_vv_f32m2_b16(a, b, lanes());
    return __riscv_vmerge_vvm_f32m2(b, a, greater, lanes());
}

inline Vec sign(Vec a) {
    const Vec one = __riscv_vfsgnj_vv_f32m2(broadcast(1.0f), a, lanes());
    const vbool16_t is_nonzero_number =
        __riscv_vmfgt_vf_f32m2_b16(__riscv_vfabs_v_f32m2(a, lanes()), 0.0f, lanes());
    return __riscv_vmerge_vvm_f32m2(a, one, is_nonzero_number, lanes());
}

// A sizeless type cannot be a member, so the sums are in memory between calls. Each call adds many
// elements to make up for that.
class SquareSums {
  public:
    template <class T>
    void add(const T* from) {
        for (std::size_t i = 0; i < square_sum_lanes; i += lanes()) {
            const Vec values = load(from + i);
            const std::size_t n = lanes();
            const vfloat64m4_t sums = __riscv_vle64_v_f64m4(sums_ + i, n);
            __riscv_vse64_v_f64m4(sums_ + i, __riscv_vfwmacc_vv_f64m4(sums, values, values, n), n);
        }
    }
    void store(double* to) const { __builtin_memcpy(to, sums_, sizeof sums_); }

  private:
    static_assert(max_width == square_sum_lanes, "one load must not be longer than the sums");

    double sums_[square_sum_lanes] = {};
};

}  // namespace
}  // namespace ascend_ops
