// The AscendCL functions of data types: sizes, and half precision on the host.
#include <cstdint>
#include <cstring>

#include "acl/acl_base.h"

namespace {

std::uint32_t bits_of(float value) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

float float_of(std::uint32_t bits) {
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

/// Divide by 2^shift, rounding to the nearest integer and halfway cases to an even one.
std::uint32_t shifted_and_rounded(std::uint32_t value, int shift) {
    const std::uint32_t half = 1U << (shift - 1);
    const std::uint32_t odd = value >> shift & 1;
    return (value + half - 1 + odd) >> shift;
}

}  // namespace

size_t aclDataTypeSize(aclDataType type) {
    switch (type) {
        case ACL_INT8:
        case ACL_UINT8:
        case ACL_BOOL:
        case ACL_HIFLOAT8:
        case ACL_FLOAT8_E5M2:
        case ACL_FLOAT8_E4M3FN:
        case ACL_FLOAT8_E8M0:
            return 1;
        case ACL_FLOAT16:
        case ACL_BF16:
        case ACL_INT16:
        case ACL_UINT16:
            return 2;
        case ACL_FLOAT:
        case ACL_INT32:
        case ACL_UINT32:
        case ACL_COMPLEX32:
            return 4;
        case ACL_DOUBLE:
        case ACL_INT64:
        case ACL_UINT64:
        case ACL_COMPLEX64:
            return 8;
        case ACL_COMPLEX128:
            return 16;
        default:  // less than a byte, or of no fixed size
            return 0;
    }
}

float aclFloat16ToFloat(aclFloat16 half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
    const std::uint32_t exponent = half >> 10 & 0x1FU;
    const std::uint32_t fraction = half & 0x3FFU;
    if (exponent == 0x1F) {
        return float_of(sign | 0x7F800000U | fraction << 13);
    }
    if (exponent == 0) {
        constexpr float smallest = 1.0F / (1 << 24);
        return float_of(sign | bits_of(static_cast<float>(fraction) * smallest));
    }
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

// Rounds to nearest even; what is too large becomes infinity.
aclFloat16 aclFloatToFloat16(float value) {
    const std::uint32_t bits = bits_of(value);
    const auto sign = static_cast<aclFloat16>(bits >> 16 & 0x8000U);
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    constexpr std::uint32_t infinity = 0x7F800000U;
    constexpr std::uint32_t smallest_normal = 0x38800000U;  // 2^-14
    constexpr std::uint32_t too_large = 0x477FF000U;        // 65520, which rounds to infinity
    if (magnitude > infinity) {
        return static_cast<aclFloat16>(sign | 0x7E00U);
    }
    if (magnitude >= too_large) {
        return static_cast<aclFloat16>(sign | 0x7C00U);
    }
    if (magnitude >= smallest_normal) {
        return static_cast<aclFloat16>(sign | shifted_and_rounded(magnitude - (112U << 23), 13));
    }
    const int shift =
        126 - static_cast<int>(magnitude >> 23);  // of the fraction with its first bit
    if (shift > 24) {
        return sign;
    }
    const std::uint32_t fraction = (magnitude & 0x7FFFFFU) | 0x800000U;
    return static_cast<aclFloat16>(sign | shifted_and_rounded(fraction, shift));
}
