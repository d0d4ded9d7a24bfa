// IEEE half precision on the host: 16 bits that convert from numbers and to float.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace op {

struct fp16_t {
    std::uint16_t val;  // the bits

    fp16_t() : val(0) {}
    /// From the bits.
    fp16_t(const std::uint16_t& bits) : val(bits) {}
    /// From a number, rounded to the nearest, ties to even.
    template <class T, class = typename std::enable_if<std::is_arithmetic<T>::value>::type>
    fp16_t(const T& value) : val(bits_of(static_cast<float>(value))) {}

    operator float() const {
        const std::uint32_t sign = (val & 0x8000u) << 16;
        const std::uint32_t exponent = (val >> 10) & 0x1fu;
        const std::uint32_t fraction = val & 0x3ffu;
        if (exponent == 0) {  // zero or subnormal: a multiple of 2^-24
            const float magnitude = static_cast<float>(fraction) * 5.9604644775390625e-8f;
            return sign != 0 ? -magnitude : magnitude;
        }
        const std::uint32_t wide = exponent == 0x1f ? 0xffu : exponent + 127 - 15;
        const std::uint32_t bits = sign | wide << 23 | fraction << 13;
        float value;
        std::memcpy(&value, &bits, sizeof value);
        return value;
    }

    fp16_t& operator+=(fp16_t other) { return *this = fp16_t(float(*this) + float(other)); }
    fp16_t& operator-=(fp16_t other) { return *this = fp16_t(float(*this) - float(other)); }
    fp16_t& operator*=(fp16_t other) { return *this = fp16_t(float(*this) * float(other)); }
    fp16_t& operator/=(fp16_t other) { return *this = fp16_t(float(*this) / float(other)); }

  private:
    static std::uint16_t bits_of(float value) {
        std::uint32_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        const std::uint32_t sign = bits >> 16 & 0x8000u;
        const std::uint32_t magnitude = bits & 0x7fffffffu;
        if (magnitude > 0x7f800000u) {
            return static_cast<std::uint16_t>(sign | 0x7e00u);  // NaN
        }
        if (magnitude >= 0x477ff000u) {
            return static_cast<std::uint16_t>(sign | 0x7c00u);  // rounds to infinity
        }
        if (magnitude < 0x38800000u) {  // subnormal: adding 0.5 leaves the rounded bits
            float shifted;
            std::memcpy(&shifted, &magnitude, sizeof shifted);
            shifted += 0.5f;
            std::memcpy(&bits, &shifted, sizeof bits);
            return static_cast<std::uint16_t>(sign | (bits - 0x3f000000u));
        }
        const std::uint32_t odd = magnitude >> 13 & 1u;
        const std::uint32_t rounded = magnitude - (112u << 23) + 0xfffu + odd;
        return static_cast<std::uint16_t>(sign | rounded >> 13);
    }
};

}  // namespace op
