// Cast: conversions between types, with a choice of rounding.
#pragma once

#include <limits>

#include "ascendc/vector_engine.h"

namespace aicore {

using AscendC::RoundMode;

inline double rounded(double value, RoundMode mode) {
    switch (mode) {
        case RoundMode::CAST_FLOOR:
            return std::floor(value);
        case RoundMode::CAST_CEIL:
            return std::ceil(value);
        case RoundMode::CAST_ROUND:
            return std::round(value);
        case RoundMode::CAST_TRUNC:
            return std::trunc(value);
        default:
            return std::nearbyint(value);
    }
}

/// The nearest value of `To`; out of range is the nearest end, and NaN is 0.
template <class To>
To saturated(double value) {
    using Limits = std::numeric_limits<To>;
    if (value != value) {
        return 0;
    }
    return value <= static_cast<double>(Limits::min())   ? Limits::min()
           : value >= static_cast<double>(Limits::max()) ? Limits::max()
                                                         : static_cast<To>(value);
}

/// The float of 16 bits that rounding towards `mode` gives; `CAST_ODD` sets the last bit if
/// anything is lost.
template <class To>
To narrowed(float value, RoundMode mode) {
    const To nearest = static_cast<To>(value);
    const float back = static_cast<float>(nearest);
    if (mode == RoundMode::CAST_NONE || mode == RoundMode::CAST_RINT || back == value ||
        value != value) {
        return nearest;
    }
    std::uint16_t bits = 0;
    std::memcpy(&bits, &nearest, sizeof bits);
    const bool away = std::fabs(back) > std::fabs(value);  // nearest is farther from zero
    const std::uint16_t toward_zero = away ? bits - 1 : bits;
    const bool grows = (mode == RoundMode::CAST_CEIL && value > 0) ||
                       (mode == RoundMode::CAST_FLOOR && value < 0) ||
                       (mode == RoundMode::CAST_ODD && (toward_zero & 1) == 0);
    if (mode == RoundMode::CAST_ROUND) {
        // To the nearest, ties away from zero.
        std::uint16_t up = toward_zero + 1;
        To upper;
        std::memcpy(&upper, &up, sizeof up);
        To lower;
        std::memcpy(&lower, &toward_zero, sizeof up);
        const float to_lower = std::fabs(value - static_cast<float>(lower));
        return std::fabs(static_cast<float>(upper) - value) <= to_lower ? upper : lower;
    }
    const std::uint16_t result = grows ? toward_zero + 1 : toward_zero;
    To converted;
    std::memcpy(&converted, &result, sizeof result);
    return converted;
}

template <class To, class From>
To converted(From value, RoundMode mode, float scale) {
    if constexpr (std::is_integral_v<To>) {
        if constexpr (std::is_integral_v<From>) {
            return sizeof(To) < sizeof(From) ? saturated<To>(static_cast<double>(value))
                                             : static_cast<To>(value);
        } else {
            return saturated<To>(rounded(static_cast<double>(widen(value)), mode));
        }
    } else if constexpr (std::is_same_v<To, From>) {
        return static_cast<To>(rounded(static_cast<double>(widen(value)), mode));
    } else if constexpr (std::is_same_v<From, std::int32_t> && std::is_same_v<To, half>) {
        return static_cast<To>(static_cast<float>(value) * scale);  // SetDeqScale
    } else if constexpr (sizeof(To) == 2) {
        return narrowed<To>(static_cast<float>(value), mode);
    } else {
        return static_cast<To>(value);
    }
}

/// A result in fp32 as T, rounded to the nearest.
template <class T>
T nearest(float value) {
    if constexpr (std::is_same_v<T, float>) {
        return value;
    } else {
        return converted<T, float>(value, RoundMode::CAST_RINT, 1.0F);
    }
}

/// Casts between half and integers of 4 bits, of which the first of a byte is the low half.
template <class To, class From>
void cast_int4(const Instruction& instruction, const LocalTensor<To>& to,
               const LocalTensor<From>& from, RoundMode mode, std::uint32_t count) {
    require_vector_operand(instruction, from);
    require_vector_operand(instruction, to);
    from.use(instruction, 0, bytes_of_elements<From>(count), false);
    to.use(instruction, 0, bytes_of_elements<To>(count), true);
    for (std::uint32_t index = 0; index < count; ++index) {
        const int shift = index % 2 * 4;
        if constexpr (std::is_same_v<To, AscendC::int4b_t>) {
            static_assert(std::is_same_v<From, half>, "Cast to int4b_t is defined for half");
            const double value = rounded(static_cast<double>(from.data()[index]), mode);
            const int whole = static_cast<int>(std::min(7.0, std::max(-8.0, value)));
            std::uint8_t& byte = to.data()[index / 2].bits;
            byte = static_cast<std::uint8_t>((byte & ~(0xF << shift)) | (whole & 0xF) << shift);
        } else {
            static_assert(std::is_same_v<To, half>, "Cast from int4b_t is defined for half");
            const int bits = from.data()[index / 2].bits >> shift & 0xF;
            to.data()[index] = static_cast<To>(static_cast<float>(bits < 8 ? bits : bits - 16));
        }
    }
}

}  // namespace aicore

namespace AscendC {

template <class T, class U>
void Cast(const LocalTensor<T>& dst, const LocalTensor<U>& src, const RoundMode& roundMode,
          std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    if constexpr (std::is_same_v<T, int4b_t> || std::is_same_v<U, int4b_t>) {
        aicore::cast_int4({"Cast", aicore::Pipe::v, site}, dst, src, roundMode, count);
        return;
    } else {
        const float scale = aicore::core->dequantization_scale;
        aicore::with_count(
            {"Cast", aicore::Pipe::v, site}, count, false, dst,
            [roundMode, scale](T, U value) {
                return aicore::converted<T, U>(value, roundMode, scale);
            },
            src);
    }
}

template <class T, class U, bool isSetMask = true, class Mask>
void Cast(const LocalTensor<T>& dst, const LocalTensor<U>& src, const RoundMode& roundMode,
          Mask mask, std::uint8_t repeatTime, const UnaryRepeatParams& repeatParams,
          aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Cast", aicore::Pipe::v, site};
    const float scale = aicore::core->dequantization_scale;
    const aicore::Lanes lanes =
        aicore::lanes_of(instruction, isSetMask, mask, std::max(sizeof(T), sizeof(U)), repeatTime);
    aicore::with_repeats(
        instruction, lanes, false, dst, {repeatParams.dstBlkStride, repeatParams.dstRepStride},
        [roundMode, scale](T, U value) { return aicore::converted<T, U>(value, roundMode, scale); },
        aicore::operand(src, repeatParams.srcBlkStride, repeatParams.srcRepStride));
}

/// The factor of casts from int32 to half.
inline void SetDeqScale(half scale) {
    aicore::core->dequantization_scale = static_cast<float>(scale);
}

/// Scalars, as the scalar unit converts them.
template <class T, class U, RoundMode roundMode>
U ScalarCast(T value) {
    return aicore::converted<U, T>(value, roundMode, 1.0F);
}

}  // namespace AscendC
