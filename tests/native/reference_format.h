// fp32, bf16 and fp16 by their definition, in double and without bit tricks: the reference for the
// simd headers.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "cpu/dtype.h"

namespace reference {

using ascend_ops::DType;

struct Format {
    int bits;             // in storage
    int mantissa_bits;    // in storage
    int lowest_exponent;  // of normal numbers
    int highest_exponent;
};

inline Format format_of(DType dtype) {
    switch (dtype) {
        case DType::bfloat16:
            return {16, 7, -126, 127};
        case DType::float16:
            return {16, 10, -14, 15};
        default:
            return {32, 23, -126, 127};
    }
}

inline std::size_t bytes_of(DType dtype) { return dtype == DType::float32 ? 4 : 2; }

inline const char* name_of(DType dtype) {
    constexpr const char* names[] = {"fp32", "bf16", "fp16"};
    return names[static_cast<int>(dtype)];
}

/// Returns the distance between the format's numbers around x.
inline double spacing(DType dtype, double x) {
    const Format format = format_of(dtype);
    const int exponent = x == 0.0 ? format.lowest_exponent : std::ilogb(x);
    return std::ldexp(1.0, std::max(exponent, format.lowest_exponent) - format.mantissa_bits);
}

/// Returns the format's number nearest to x, ties to even: infinity from half a spacing above the
/// largest number on.
inline double round_to(DType dtype, double x) {
    if (std::isnan(x) || std::isinf(x)) {
        return x;
    }
    const double quantum = spacing(dtype, x);
    const double rounded = std::nearbyint(x / quantum) * quantum;
    if (std::fabs(rounded) >= std::ldexp(1.0, format_of(dtype).highest_exponent + 1)) {
        return std::copysign(std::numeric_limits<double>::infinity(), x);
    }
    return std::copysign(rounded, x);  // the sign of zero
}

inline double decode(DType dtype, std::uint32_t stored) {
    const Format format = format_of(dtype);
    const std::uint32_t mantissa = stored & ((1u << format.mantissa_bits) - 1u);
    const int exponent_bits = format.bits - 1 - format.mantissa_bits;
    const std::uint32_t exponent = (stored >> format.mantissa_bits) & ((1u << exponent_bits) - 1u);
    const double sign = ((stored >> (format.bits - 1)) & 1u) != 0 ? -1.0 : 1.0;
    if (exponent == (1u << exponent_bits) - 1u) {
        return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                             : sign * std::numeric_limits<double>::infinity();
    }
    const int scale = format.lowest_exponent - format.mantissa_bits;
    if (exponent == 0) {
        return sign * std::ldexp(static_cast<double>(mantissa), scale);
    }
    const double significand = static_cast<double>(mantissa + (1u << format.mantissa_bits));
    return sign * std::ldexp(significand, scale + static_cast<int>(exponent) - 1);
}

inline double load(DType dtype, const unsigned char* from) {
    std::uint32_t stored = 0;
    std::memcpy(&stored, from, bytes_of(dtype));
    return decode(dtype, stored);
}

/// Returns the bits of round_to(x).
inline std::uint32_t encode(DType dtype, double x) {
    const Format format = format_of(dtype);
    const std::uint32_t sign = std::signbit(x) ? 1u << (format.bits - 1) : 0u;
    const double magnitude = std::fabs(round_to(dtype, x));
    const int exponent_bits = format.bits - 1 - format.mantissa_bits;
    const std::uint32_t infinity = ((1u << exponent_bits) - 1u) << format.mantissa_bits;
    if (std::isnan(magnitude)) {
        return infinity | (1u << (format.mantissa_bits - 1));
    }
    if (std::isinf(magnitude)) {
        return sign | infinity;
    }
    const double significand = magnitude / spacing(dtype, magnitude);
    if (magnitude < std::ldexp(1.0, format.lowest_exponent)) {
        return sign | static_cast<std::uint32_t>(significand);
    }
    const int exponent = std::ilogb(magnitude) - format.lowest_exponent;
    return sign | ((static_cast<std::uint32_t>(exponent) << format.mantissa_bits) +
                   static_cast<std::uint32_t>(significand));
}

inline void store(DType dtype, unsigned char* to, double x) {
    const std::uint32_t stored = encode(dtype, x);
    std::memcpy(to, &stored, bytes_of(dtype));
}

}  // namespace reference
