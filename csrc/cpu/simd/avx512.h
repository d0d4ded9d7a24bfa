// A Vec of 16 lanes for AVX-512 F, BW and VL. simd/scalar.h describes the interface.
//
// bf16 is rounded with integer instructions or, if AVX512_BF16 is enabled, with VCVTNEPS2BF16. That
// instruction flushes subnormals to zero, unlike every other instruction set, so a vector that
// contains a subnormal is still rounded with integer instructions.
#pragma once

// GCC 12 warns that an unused operand of its own intrinsics is uninitialized (GCC bug 105593).
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

#include "cpu/dtype.h"
#include "cpu/simd/square_sum_lanes.h"

namespace ascend_ops {
namespace {

struct Vec {
    __m512 value;
};

constexpr std::int64_t max_width = 16;
constexpr std::int64_t width() { return max_width; }

inline Vec broadcast(float x) { return {_mm512_set1_ps(x)}; }

// By one shuffle, word i becomes the upper half of lane i; the lower half is zero.
inline Vec from_bfloat16(__m256i stored) {
    const __m512i word_of_half = _mm512_setr_epi32(
        0 << 16, 1 << 16, 2 << 16, 3 << 16, 4 << 16, 5 << 16, 6 << 16, 7 << 16, 8 << 16, 9 << 16,
        10 << 16, 11 << 16, 12 << 16, 13 << 16, 14 << 16, 15 << 16);
    const __m512i words = _mm512_castsi256_si512(stored);
    return {_mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xaaaaaaaau, word_of_half, words))};
}

inline Vec load(const float* from) { return {_mm512_loadu_ps(from)}; }

inline Vec load(const BFloat16* from) {
    return from_bfloat16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

inline Vec load(const Float16* from) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
}

[[gnu::unused]] inline __m256i round_to_bfloat16(Vec v) {
    const __m512i bits = _mm512_castps_si512(v.value);
    const __mmask16 is_odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x00010000));
    const __m512i down = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff));
    const __m512i rounded = _mm512_mask_add_epi32(down, is_odd, bits, _mm512_set1_epi32(0x8000));
    // Rounding could turn a NaN into infinity.
    const __mmask16 is_nan = _mm512_cmp_ps_mask(v.value, v.value, _CMP_UNORD_Q);
    const __m512i chosen =
        _mm512_mask_or_epi32(rounded, is_nan, bits, _mm512_set1_epi32(0x00400000));
    // By one shuffle, the upper half of lane i becomes word i.
    const __m512i half_of_word =
        _mm512_setr_epi32(0x00030001, 0x00070005, 0x000b0009, 0x000f000d, 0x00130011, 0x00170015,
                          0x001b0019, 0x001f001d, 0, 0, 0, 0, 0, 0, 0, 0);
    return _mm512_castsi512_si256(_mm512_permutexvar_epi16(half_of_word, chosen));
}

#if defined(__AVX512BF16__) || defined(ASCEND_OPS_AVX512_BF16)
inline __m256i to_bfloat16(Vec v) {
    constexpr int subnormal = 0x20;
    if (__builtin_expect(_mm512_fpclass_ps_mask(v.value, subnormal) != 0, 0)) {
        return round_to_bfloat16(v);
    }
    return (__m256i)_mm512_cvtneps_pbh(v.value);
}
#else
inline __m256i to_bfloat16(Vec v) { return round_to_bfloat16(v); }
#endif

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

inline void stream(__m256i* to, __m256i words) {
    if (reinterpret_cast<std::uintptr_t>(to) % sizeof words == 0) {
        _mm256_stream_si256(to, words);
    } else {
        _mm256_storeu_si256(to, words);
    }
}
inline void stream(BFloat16* to, Vec v) { stream(reinterpret_cast<__m256i*>(to), to_bfloat16(v)); }
inline void stream(Float16* to, Vec v) { stream(reinterpret_cast<__m256i*>(to), to_float16(v)); }
inline void finish_streams() { _mm_sfence(); }

inline Vec add(Vec a, Vec b) { return {_mm512_add_ps(a.value, b.value)}; }
inline Vec sub(Vec a, Vec b) { return {_mm512_sub_ps(a.value, b.value)}; }
inline Vec mul(Vec a, Vec b) { return {_mm512_mul_ps(a.value, b.value)}; }
inline Vec div(Vec a, Vec b) { return {_mm512_div_ps(a.value, b.value)}; }
inline Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.value)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.value, b.value, c.value)}; }
inline Vec fnma(Vec a, Vec b, Vec c) { return {_mm512_fnmadd_ps(a.value, b.value, c.value)}; }
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.value, b.value)}; }

inline Vec sign(Vec a) {
    const __m512i one = _mm512_castps_si512(_mm512_set1_ps(1.0f));
    const __m512i bits = _mm512_castps_si512(a.value);
    // (bits & 0x80000000) | one
    const __m512i signed_one =
        _mm512_ternarylogic_epi32(bits, _mm512_set1_epi32(INT32_MIN), one, 0xea);
    const __mmask16 keep = _mm512_cmp_ps_mask(a.value, _mm512_setzero_ps(), _CMP_EQ_UQ);
    return {_mm512_mask_mov_ps(_mm512_castsi512_ps(signed_one), keep, a.value)};
}

class SquareSums {
  public:
    template <class T>
    void add(const T* from) {
        for (int k = 0; k < 2; ++k) {
            const __m512 value = load(from + 16 * k).value;
            add(lanes_[2 * k], _mm512_cvtps_pd(_mm512_castps512_ps256(value)));
            add(lanes_[2 * k + 1], _mm512_cvtps_pd(_mm512_extractf32x8_ps(value, 1)));
        }
    }
    void store(double* to) const {
        for (int k = 0; k < 4; ++k) {
            _mm512_storeu_pd(to + 8 * k, lanes_[k]);
        }
    }

  private:
    static void add(__m512d& lanes, __m512d x) { lanes = _mm512_fmadd_pd(x, x, lanes); }

    __m512d lanes_[square_sum_lanes / 8] = {};
};

}  // namespace
}  // namespace ascend_ops
