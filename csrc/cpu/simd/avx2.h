// A Vec of eight lanes for AVX2, FMA and F16C. simd/scalar.h describes the interface.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "cpu/dtype.h"
#include "cpu/simd/square_sum_lanes.h"

namespace ascend_ops {
namespace {

struct Vec {
    __m256 value;
};

constexpr std::int64_t max_width = 8;
constexpr std::int64_t width() { return max_width; }

inline Vec broadcast(float x) { return {_mm256_set1_ps(x)}; }
inline Vec load(const float* from) { return {_mm256_loadu_ps(from)}; }

// Copies all eight words to both halves of the register, then picks and shifts them by one shuffle.
inline Vec load(const BFloat16* from) {
    const __m256i words =
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    const char o = -1;  // a zero byte
    const __m256i byte_of_byte =
        _mm256_setr_epi8(o, o, 0, 1, o, o, 2, 3, o, o, 4, 5, o, o, 6, 7,  //
                         o, o, 8, 9, o, o, 10, 11, o, o, 12, 13, o, o, 14, 15);
    return {_mm256_castsi256_ps(_mm256_shuffle_epi8(words, byte_of_byte))};
}

inline Vec load(const Float16* from) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
}

inline void store(float* to, Vec v) { _mm256_storeu_ps(to, v.value); }

inline __m128i to_bfloat16(Vec v) {
    const __m256i bits = _mm256_castps_si256(v.value);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_add_epi32(_mm256_add_epi32(bits, odd), _mm256_set1_epi32(0x7fff));
    // Rounding could turn a NaN into infinity. A number with all bits set is a NaN as well.
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(v.value, v.value, _CMP_UNORD_Q));
    // Moves the upper halves of all words to the lower end of each 128 bits, then joins the two.
    const char o = -1;
    const __m256i byte_of_byte =
        _mm256_setr_epi8(2, 3, 6, 7, 10, 11, 14, 15, o, o, o, o, o, o, o, o, 2, 3, 6, 7, 10, 11, 14,
                         15, o, o, o, o, o, o, o, o);
    const __m256i upper = _mm256_shuffle_epi8(_mm256_or_si256(rounded, is_nan), byte_of_byte);
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(upper, 0x08));
}

inline __m128i to_float16(Vec v) {
    return _mm256_cvtps_ph(v.value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

inline void store(BFloat16* to, Vec v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), to_bfloat16(v));
}

inline void store(Float16* to, Vec v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), to_float16(v));
}

inline void stream(__m128i* to, __m128i words) {
    if (reinterpret_cast<std::uintptr_t>(to) % sizeof words == 0) {
        _mm_stream_si128(to, words);
    } else {
        _mm_storeu_si128(to, words);
    }
}
inline void stream(BFloat16* to, Vec v) { stream(reinterpret_cast<__m128i*>(to), to_bfloat16(v)); }
inline void stream(Float16* to, Vec v) { stream(reinterpret_cast<__m128i*>(to), to_float16(v)); }
inline void finish_streams() { _mm_sfence(); }

inline Vec add(Vec a, Vec b) { return {_mm256_add_ps(a.value, b.value)}; }
inline Vec sub(Vec a, Vec b) { return {_mm256_sub_ps(a.value, b.value)}; }
inline Vec mul(Vec a, Vec b) { return {_mm256_mul_ps(a.value, b.value)}; }
inline Vec div(Vec a, Vec b) { return {_mm256_div_ps(a.value, b.value)}; }
inline Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.value)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.value, b.value, c.value)}; }
inline Vec fnma(Vec a, Vec b, Vec c) { return {_mm256_fnmadd_ps(a.value, b.value, c.value)}; }
inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.value, b.value)}; }

inline Vec sign(Vec a) {
    const __m256 zero = _mm256_setzero_ps();
    const __m256 keep = _mm256_cmp_ps(a.value, zero, _CMP_EQ_UQ);  // a zero or a NaN
    const __m256 sign_bit = _mm256_and_ps(a.value, _mm256_set1_ps(-0.0f));
    return {_mm256_blendv_ps(_mm256_or_ps(sign_bit, _mm256_set1_ps(1.0f)), a.value, keep)};
}

class SquareSums {
  public:
    template <class T>
    void add(const T* from) {
        for (int k = 0; k < 4; ++k) {
            const __m256 value = load(from + 8 * k).value;
            add(lanes_[2 * k], _mm256_cvtps_pd(_mm256_castps256_ps128(value)));
            add(lanes_[2 * k + 1], _mm256_cvtps_pd(_mm256_extractf128_ps(value, 1)));
        }
    }
    void store(double* to) const {
        for (int k = 0; k < 8; ++k) {
            _mm256_storeu_pd(to + 4 * k, lanes_[k]);
        }
    }

  private:
    static void add(__m256d& lanes, __m256d x) { lanes = _mm256_fmadd_pd(x, x, lanes); }

    __m256d lanes_[square_sum_lanes / 4] = {};
};

}  // namespace
}  // namespace ascend_ops
