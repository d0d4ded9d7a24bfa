// Sixteen lanes of AVX-512 F, BW and VL. The interface is described in simd/scalar.h.
//
// bf16 is rounded with integer instructions: VCVTNEPS2BF16 flushes subnormals to zero, which no
// other instruction set does, and would need a CPU with AVX512_BF16.
#pragma once

// GCC 12 calls the unused operand of its own unmasked intrinsics uninitialized (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include <cstdint>

#include "ascend_ops/dtype.h"

namespace ascend_ops {
namespace {

inline __mmask16 first_lanes(std::int64_t count) {
    return static_cast<__mmask16>((1u << count) - 1u);
}

struct Vec {
    static constexpr std::int64_t width = 16;
    __m512 value;

    static Vec broadcast(float x) { return {_mm512_set1_ps(x)}; }

    static Vec from_bfloat16(__m256i stored) {
        return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(stored), 16))};
    }

    static Vec load(const float* from) { return {_mm512_loadu_ps(from)}; }

    static Vec load(const BFloat16* from) {
        return from_bfloat16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    }

    static Vec load(const Float16* from) {
        return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
    }

    static Vec load_partial(const float* from, std::int64_t count) {
        return {_mm512_maskz_loadu_ps(first_lanes(count), from)};
    }

    static Vec load_partial(const BFloat16* from, std::int64_t count) {
        return from_bfloat16(_mm256_maskz_loadu_epi16(first_lanes(count), from));
    }

    static Vec load_partial(const Float16* from, std::int64_t count) {
        return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(count), from))};
    }
};

inline __m256i to_bfloat16(Vec v) {
    const __m512i bits = _mm512_castps_si512(v.value);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff));
    // rounding could carry a NaN into infinity
    const __mmask16 is_nan = _mm512_cmp_ps_mask(v.value, v.value, _CMP_UNORD_Q);
    const __m512i chosen =
        _mm512_mask_or_epi32(rounded, is_nan, bits, _mm512_set1_epi32(0x00400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(chosen, 16));
}

inline __m256i to_float16(Vec v) {
    return _mm512_cvtps_ph(v.value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

inline void store(float* to, Vec v) { _mm512_storeu_ps(to, v.value); }

inline void store(BFloat16* to, Vec v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), to_bfloat16(v));
}

inline void store(Float16* to, Vec v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), to_float16(v));
}

inline void store_partial(float* to, Vec v, std::int64_t count) {
    _mm512_mask_storeu_ps(to, first_lanes(count), v.value);
}

inline void store_partial(BFloat16* to, Vec v, std::int64_t count) {
    _mm256_mask_storeu_epi16(to, first_lanes(count), to_bfloat16(v));
}

inline void store_partial(Float16* to, Vec v, std::int64_t count) {
    _mm256_mask_storeu_epi16(to, first_lanes(count), to_float16(v));
}

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.value, b.value)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.value, b.value)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.value, b.value)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.value, b.value)}; }
inline Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.value)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.value, b.value, c.value)}; }
inline Vec fnma(Vec a, Vec b, Vec c) { return {_mm512_fnmadd_ps(a.value, b.value, c.value)}; }

inline Vec zero_if_negative(Vec a) {
    const __mmask16 negative = _mm512_cmp_ps_mask(a.value, _mm512_setzero_ps(), _CMP_LT_OQ);
    return {_mm512_mask_mov_ps(a.value, negative, _mm512_setzero_ps())};
}

}  // namespace
}  // namespace ascend_ops
