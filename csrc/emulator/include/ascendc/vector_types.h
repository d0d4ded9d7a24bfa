// The types that vector instructions have on each architecture, and the floats that they flush.
#pragma once

#include <cmath>
#include <limits>
#include <stdexcept>

#include "ascendc/types.h"

#if __NPU_ARCH__ == 3510
// From CANN's documentation of each function for Ascend 950, without complex numbers.
#define AICORE_64 std::int64_t, std::uint64_t
#define AICORE_16_AND_32 \
    std::int16_t, std::uint16_t, half, bfloat16_t, std::int32_t, std::uint32_t, float, AICORE_64
#define AICORE_ADDED std::int8_t, std::uint8_t, AICORE_16_AND_32
#define AICORE_MULTIPLIED AICORE_16_AND_32
#define AICORE_DIVIDED \
    std::int16_t, std::uint16_t, half, std::int32_t, std::uint32_t, float, AICORE_64
#define AICORE_COMPARED AICORE_ADDED
#define AICORE_FUSED half, bfloat16_t, float, AICORE_64
#define AICORE_ADDED_RELU std::int16_t, half, float, AICORE_64
#define AICORE_BITS \
    std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t, AICORE_64
#define AICORE_RECIPROCAL half, float
#define AICORE_RELU half, std::int32_t, float, std::int64_t
#define AICORE_SCALAR_MULTIPLIED std::int16_t, half, bfloat16_t, std::int32_t, float, AICORE_64
#define AICORE_SCALAR_ADDED std::int8_t, std::uint8_t, AICORE_SCALAR_MULTIPLIED
#else
// On dav-2201, from the platform configuration of CANN.
#define AICORE_NUMBERS half, float, std::int16_t, std::int32_t
#define AICORE_ADDED AICORE_NUMBERS
#define AICORE_MULTIPLIED AICORE_NUMBERS
#define AICORE_DIVIDED half, float
#define AICORE_COMPARED AICORE_NUMBERS
#define AICORE_FUSED half, float
#define AICORE_ADDED_RELU AICORE_NUMBERS
#define AICORE_BITS std::int16_t, std::uint16_t
#define AICORE_RECIPROCAL half, float
#define AICORE_RELU AICORE_NUMBERS
#define AICORE_SCALAR_MULTIPLIED AICORE_NUMBERS
#define AICORE_SCALAR_ADDED AICORE_NUMBERS
#endif
#define AICORE_FLOATS half, float

namespace aicore {

/// Types that an instruction with a mask and repeats takes: on Ascend 950, those of 8 and 64 bits
/// have the form with a count only.
template <class T>
constexpr bool has_repeats = __NPU_ARCH__ != 3510 || sizeof(T) == 2 || sizeof(T) == 4;

/// A value as Exp, Ln, Sqrt, Rsqrt, Reciprocal and Div take and give it for elements of type T:
/// Ascend 950 has no subnormal numbers there, and takes them as zero.
template <class T>
float normal(float value) {
    constexpr float least = std::is_same_v<T, half> ? 0x1p-14F : std::numeric_limits<float>::min();
    return __NPU_ARCH__ == 3510 && std::fabs(value) < least ? std::copysign(0.0F, value) : value;
}

/// A quotient as Div gives it for elements of type T.
template <class T, class Number>
Number quotient(Number value, Number divisor) {
    if constexpr (std::is_integral_v<Number>) {
        if (divisor == 0) {
            throw std::domain_error("Div divides an integer by zero");
        }
        return static_cast<Number>(value / divisor);
    } else {
        return normal<T>(normal<T>(value) / normal<T>(divisor));
    }
}

}  // namespace aicore
