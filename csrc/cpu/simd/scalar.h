// A Vec of one lane in plain C++, which runs on every machine and is the reference for the others.
//
// Every simd header has this interface, so that kernels are written once. Vec may be a sizeless
// type (SVE, RISC-V), so kernels use functions and have no Vec as a member or array element.
//   Vec                       a vector of floats
//   width(), max_width        its length on this CPU, and the maximum on any: powers of two
//   broadcast(x)              a Vec with x in every lane
//   load(p)                   loads from a pointer to float, BFloat16 or Float16
//   store(p, v)               rounds to nearest, ties to even; a NaN stays a (quiet) NaN
//   stream(p, v)              store() for data that is not read soon: bypasses the caches if it can
//   finish_streams()          must follow the last stream() before another thread reads the data
//   add, sub, mul, div, sqrt  correctly rounded
//   fma(a, b, c)              a * b + c with one rounding; fnma(a, b, c) is c - a * b
//   max(a, b)                 a > b ? a : b, so b if either is a NaN
//   sign(v)                   1 or -1; zeros and NaNs are unchanged
//   SquareSums                sums of squares in double; element i is added to sum i % 32. Products
//                             are exact, so the result does not depend on FMA
// Pointers need only the alignment of their elements. A kernel's results are bitwise the same with
// each of these headers, except for the sign and payload of NaNs.
//
// All names have internal linkage: the files of one library compile this header for different
// instruction sets, and the linker must not merge their functions.
#pragma once

#include <cstdint>

#include "cpu/dtype.h"
#include "cpu/simd/square_sum_lanes.h"

namespace ascend_ops {
namespace {

inline std::uint32_t float_bits(float value) {
    std::uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float bits_float(std::uint32_t bits) {
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

inline float to_float(BFloat16 stored) {
    return bits_float(static_cast<std::uint32_t>(stored.bits) << 16);
}

inline BFloat16 to_bfloat16(float value) {
    const std::uint32_t bits = float_bits(value);
    if (value != value) {  // rounding could turn a NaN into infinity
        return {static_cast<std::uint16_t>((bits >> 16) | 0x0040u)};
    }
    return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

inline float to_float(Float16 stored) {
    const std::uint32_t sign = (stored.bits & 0x8000u) << 16;
    const std::uint32_t exponent = stored.bits & 0x7c00u;
    const std::uint32_t mantissa = stored.bits & 0x03ffu;
    if (exponent == 0x7c00u) {
        const std::uint32_t quiet = mantissa != 0 ? 0x00400000u : 0u;
        return bits_float(sign | 0x7f800000u | quiet | (mantissa << 13));
    }
    if (exponent == 0) {  // subnormal: a multiple of 2^-24, exact in fp32
        return bits_float(sign | float_bits(static_cast<float>(mantissa) * 0x1p-24f));
    }
    return bits_float(sign | (((stored.bits & 0x7fffu) << 13) + (112u << 23)));
}

inline Float16 to_float16(float value) {
    const std::uint32_t bits = float_bits(value);
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    std::uint32_t half;
    if (magnitude > 0x7f800000u) {  // a NaN keeps what fits of its payload
        half = 0x7e00u | ((magnitude >> 13) & 0x03ffu);
    } else if (magnitude >= 0x477ff000u) {  // 65520 and above are rounded to infinity
        half = 0x7c00u;
    } else if (magnitude < 0x38800000u) {  // below 2^-14: the addition rounds to multiples of 2^-24
        half = float_bits(bits_float(magnitude) + 0.5f) - float_bits(0.5f);
    } else {
        half = (magnitude - (112u << 23) + 0x0fffu + ((magnitude >> 13) & 1u)) >> 13;
    }
    return {static_cast<std::uint16_t>(sign | half)};
}

// a * b + c with one rounding. If the target has no such instruction, the product is exact in
// double, and rounding the sum to odd makes the second rounding, to float, correct (Boldo and
// Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
[[gnu::always_inline]] inline float fused_multiply_add(float a, float b, float c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMAF)
    return __builtin_fmaf(a, b, c);
#else
    const double product = static_cast<double>(a) * static_cast<double>(b);
    const double addend = c;
    double sum = product + addend;
    const double rounded_addend = sum - product;
    const double error = (product - (sum - rounded_addend)) + (addend - rounded_addend);
    std::uint64_t bits;
    __builtin_memcpy(&bits, &sum, sizeof bits);
    if (error < 0 || error > 0) {  // inexact; neither if the error is a NaN
        std::uint64_t error_bits;
        __builtin_memcpy(&error_bits, &error, sizeof error);
        const std::uint64_t opposite_signs = (bits ^ error_bits) >> 63;
        bits = (bits - opposite_signs) | 1u;  // truncate towards zero, then make it odd
    }
    __builtin_memcpy(&sum, &bits, sizeof sum);
    return static_cast<float>(sum);
#endif
}

struct Vec {
    float value;
};

constexpr std::int64_t max_width = 1;
constexpr std::int64_t width() { return 1; }

inline Vec broadcast(float x) { return {x}; }
inline Vec load(const float* from) { return {*from}; }
inline Vec load(const BFloat16* from) { return {to_float(*from)}; }
inline Vec load(const Float16* from) { return {to_float(*from)}; }

inline void store(float* to, Vec v) { *to = v.value; }
inline void store(BFloat16* to, Vec v) { *to = to_bfloat16(v.value); }
inline void store(Float16* to, Vec v) { *to = to_float16(v.value); }

template <class T>
inline void stream(T* to, Vec v) {
    store(to, v);
}
inline void finish_streams() {}

inline Vec add(Vec a, Vec b) { return {a.value + b.value}; }
inline Vec sub(Vec a, Vec b) { return {a.value - b.value}; }
inline Vec mul(Vec a, Vec b) { return {a.value * b.value}; }
inline Vec div(Vec a, Vec b) { return {a.value / b.value}; }
inline Vec sqrt(Vec a) { return {__builtin_sqrtf(a.value)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {fused_multiply_add(a.value, b.value, c.value)}; }
inline Vec fnma(Vec a, Vec b, Vec c) { return {fused_multiply_add(-a.value, b.value, c.value)}; }
inline Vec max(Vec a, Vec b) { return {a.value > b.value ? a.value : b.value}; }
inline Vec sign(Vec a) { return {a.value > 0.0f ? 1.0f : a.value < 0.0f ? -1.0f : a.value}; }

class SquareSums {
  public:
    template <class T>
    void add(const T* from) {
        for (int lane = 0; lane < square_sum_lanes; ++lane) {
            const double value = load(from + lane).value;
            lanes_[lane] += value * value;
        }
    }
    void store(double* to) const { __builtin_memcpy(to, lanes_, sizeof lanes_); }

  private:
    double lanes_[square_sum_lanes] = {};
};

}  // namespace
}  // namespace ascend_ops
