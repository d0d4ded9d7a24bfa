// Conversions between registers, whose elements have other sizes.
#pragma once

#include "ascendc/register_arithmetic.h"

namespace AscendC::Reg {

enum class RegLayout : std::int8_t { UNKNOWN = -1, ZERO, ONE, TWO, THREE };
enum class SatMode : std::int8_t { UNKNOWN = -1, NO_SAT, SAT };

struct CastTrait {
    RegLayout layoutMode = RegLayout::UNKNOWN;
    SatMode satMode = SatMode::UNKNOWN;
    MaskMergeMode mrgMode = MaskMergeMode::UNKNOWN;
    RoundMode roundMode = RoundMode::UNKNOWN;
};
constexpr CastTrait castTrait = {};

}  // namespace AscendC::Reg

namespace aicore {

template <class T>
constexpr bool is_half_or_float = is_one_of<T, half, bfloat16_t, float>;

/// Whether a conversion can lose digits, so that it needs a way to round.
template <class To, class From>
constexpr bool rounds_in_cast =
    (is_half_or_float<From> && std::is_integral_v<To>) ||
    (is_half_or_float<From> && is_half_or_float<To> && sizeof(To) == 2 &&
     !std::is_same_v<To, From>) ||
    (std::is_same_v<From, std::int16_t> && std::is_same_v<To, half>) ||
    (std::is_integral_v<From> && sizeof(From) >= 4 && std::is_same_v<To, float>);

/// The pairs of types that CANN documents.
template <class To, class From>
constexpr bool has_cast() {
    if constexpr (std::is_same_v<From, std::int8_t>) {
        return is_one_of<To, std::int16_t, half, std::int32_t>;
    } else if constexpr (std::is_same_v<From, std::uint8_t>) {
        return is_one_of<To, std::uint16_t, half, std::uint32_t>;
    } else if constexpr (std::is_same_v<From, std::int16_t>) {
        return is_one_of<To, std::uint8_t, half, std::int32_t, std::uint32_t, float>;
    } else if constexpr (std::is_same_v<From, std::uint16_t>) {
        return is_one_of<To, std::uint8_t, std::uint32_t>;
    } else if constexpr (std::is_same_v<From, half>) {
        return is_one_of<To, std::int8_t, std::uint8_t, std::int16_t, bfloat16_t, std::int32_t,
                         float>;
    } else if constexpr (std::is_same_v<From, bfloat16_t>) {
        return is_one_of<To, half, std::int32_t, float>;
    } else if constexpr (std::is_same_v<From, std::int32_t>) {
        return is_one_of<To, std::uint8_t, std::int16_t, std::uint16_t, float, std::int64_t>;
    } else if constexpr (std::is_same_v<From, std::uint32_t>) {
        return is_one_of<To, std::uint8_t, std::int16_t, std::uint16_t>;
    } else if constexpr (std::is_same_v<From, float>) {
        return is_one_of<To, std::int16_t, half, bfloat16_t, std::int32_t, std::int64_t>;
    } else {
        return std::is_same_v<From, std::int64_t> && is_one_of<To, std::int32_t, float>;
    }
}

/// Whether results out of range become the nearest end. The control register chooses for all
/// instructions, unless its bit 60 leaves the choice to each.
template <class To>
bool saturates_in_cast(AscendC::Reg::SatMode mode) {
    const std::uint64_t control = core->control;
    if ((control >> 60 & 1) == 0) {
        return mode != AscendC::Reg::SatMode::NO_SAT;
    }
    return (control >> (std::is_integral_v<To> ? 59 : 48) & 1) == 0;
}

/// A whole number as an integer of 64 bits: its lowest bits are what an integer keeps that does not
/// saturate.
template <class To>
To lowest_bits(double value) {
    if (value != value) {
        return 0;
    }
    if (std::fabs(value) > 9e18) {
        return value < 0 ? std::numeric_limits<To>::min() : std::numeric_limits<To>::max();
    }
    return static_cast<To>(static_cast<std::int64_t>(value));
}

/// An integer as fp32, rounded.
inline float rounded_integer(std::int64_t value, RoundMode mode) {
    const float nearest = static_cast<float>(value);
    const auto back = static_cast<long double>(nearest);
    const auto exact = static_cast<long double>(value);
    const auto toward = [nearest](double limit) {
        return std::nextafter(nearest, static_cast<float>(limit));
    };
    const double infinity = std::numeric_limits<double>::infinity();
    if (mode == RoundMode::CAST_FLOOR) {
        return back > exact ? toward(-infinity) : nearest;
    }
    if (mode == RoundMode::CAST_CEIL) {
        return back < exact ? toward(infinity) : nearest;
    }
    if (mode == RoundMode::CAST_TRUNC) {
        return std::fabs(back) > std::fabs(exact) ? toward(0) : nearest;
    }
    if (mode == RoundMode::CAST_ROUND && std::fabs(back) < std::fabs(exact)) {
        const float away = toward(value < 0 ? -infinity : infinity);
        const auto farther = std::fabs(static_cast<long double>(away) - exact);
        return farther <= std::fabs(exact - back) ? away : nearest;
    }
    return nearest;
}

template <class To, class From>
To cast_element(From value, RoundMode mode, bool saturates) {
    if constexpr (std::is_integral_v<To> && std::is_integral_v<From>) {
        if (saturates || sizeof(To) > sizeof(From)) {
            return saturated<To>(static_cast<double>(value));
        }
        return static_cast<To>(value);
    } else if constexpr (std::is_integral_v<To>) {
        const double whole = rounded(static_cast<double>(widen(value)), mode);
        return saturates || std::isinf(whole) ? saturated<To>(whole) : lowest_bits<To>(whole);
    } else if constexpr (std::is_integral_v<From>) {
        if constexpr (std::is_same_v<To, float>) {
            return rounded_integer(value, mode);
        } else {
            return narrowed<To>(static_cast<float>(value), mode);
        }
    } else if constexpr (std::is_same_v<To, float>) {
        return widen(value);
    } else {
        const To result = narrowed<To>(widen(value), mode);
        constexpr float most = std::is_same_v<To, half> ? 65504.0F : 0x1.FEp127F;
        const float wide = widen(result);
        return !saturates                ? result
               : wide != wide            ? static_cast<To>(0.0F)
               : std::fabs(wide) <= most ? result
                                         : static_cast<To>(std::copysign(most, wide));
    }
}

/// Where the elements of a conversion are: the register with more elements uses one of `ratio`.
template <Register Dst, Register Src>
struct CastPlaces {
    static constexpr std::uint32_t count = std::min(Dst::lanes, Src::lanes);
    static constexpr std::uint32_t src_step = Src::lanes / count;
    static constexpr std::uint32_t dst_step = Dst::lanes / count;
    static constexpr std::uint32_t ratio = std::max(src_step, dst_step);
};

}  // namespace aicore

namespace AscendC::Reg {

template <class T = DefaultType, class U = DefaultType, const CastTrait& trait = castTrait,
          aicore::Register S, aicore::Register V>
void Cast(S& dstReg, V& srcReg, MaskReg& mask, AICORE_SITE) {
    using To = aicore::ElementOfRegister<S>;
    using From = aicore::ElementOfRegister<V>;
    using Places = aicore::CastPlaces<S, V>;
    static_assert(aicore::is_type_of<T, S> && aicore::is_type_of<U, V>,
                  "Cast: T and U must be the types of the registers");
    static_assert(aicore::has_cast<To, From>(), "Cast has no instruction for these types");
    static_assert(trait.mrgMode != MaskMergeMode::MERGING, "Cast supports ZEROING only");
    constexpr int layout = static_cast<int>(trait.layoutMode);
    static_assert(Places::ratio == 1 || (layout >= 0 && layout < static_cast<int>(Places::ratio)),
                  "Cast: layoutMode must name one of the places of the smaller elements");
    static_assert(!aicore::rounds_in_cast<To, From> || trait.roundMode != RoundMode::UNKNOWN,
                  "Cast: roundMode must be given for a conversion that rounds");
    static_assert(trait.roundMode != RoundMode::CAST_HYBRID, "CAST_HYBRID is not emulated");
    constexpr std::uint32_t place = Places::ratio == 1 ? 0 : layout;
    aicore::require_mask(AICORE_NOTE("Cast"), mask);
    const bool saturates = aicore::saturates_in_cast<To>(trait.satMode);
    S result;
    result.clear();
    for (std::uint32_t index = 0; index < Places::count; ++index) {
        const std::uint32_t from = index * Places::src_step + (Places::src_step == 1 ? 0 : place);
        const std::uint32_t to = index * Places::dst_step + (Places::dst_step == 1 ? 0 : place);
        if (!aicore::selects<V>(mask, from)) {
            continue;
        }
        const std::uint16_t flaw = srcReg.flaw(from);
        result.set(to,
                   flaw != 0 ? To{}
                             : aicore::cast_element<To, From>(srcReg.get(from), trait.roundMode,
                                                              saturates),
                   flaw);
    }
    dstReg = result;
}

/// Floats without their fraction.
template <class T = DefaultType, RoundMode roundMode = RoundMode::CAST_NONE,
          MaskMergeMode mode = MaskMergeMode::ZEROING, aicore::Register S>
void Truncate(S& dstReg, S& srcReg, MaskReg& mask, AICORE_SITE) {
    AICORE_REG_CHECK(Truncate, S, false, AICORE_REG_FUSED)
    static_assert(roundMode != RoundMode::CAST_NONE, "Truncate: roundMode must be given");
    aicore::per_lane(
        instruction, dstReg, mask, merges,
        [](E x) {
            return static_cast<E>(aicore::rounded(static_cast<double>(widen(x)), roundMode));
        },
        srcReg);
}

/// exp(a - b), in fp32.
template <class T = DefaultType, class U = DefaultType, RegLayout layout = RegLayout::ZERO,
          MaskMergeMode mode = MaskMergeMode::ZEROING, aicore::Register S, aicore::Register V>
void ExpSub(S& dstReg, V& srcReg0, V& srcReg1, MaskReg& mask, AICORE_SITE) {
    using From = aicore::ElementOfRegister<V>;
    static_assert(
        std::is_same_v<aicore::ElementOfRegister<S>, float> && aicore::is_one_of<From, half, float>,
        "ExpSub takes half or float and gives float");
    static_assert(mode == MaskMergeMode::ZEROING, "ExpSub supports ZEROING only");
    constexpr std::uint32_t step = V::lanes / S::lanes;
    static_assert(static_cast<std::uint32_t>(layout) < step, "ExpSub: layout must be ZERO or ONE");
    const aicore::Instruction instruction AICORE_NOTE("ExpSub");
    aicore::require_mask(instruction, mask);
    S result;
    result.clear();
    for (std::uint32_t lane = 0; lane < S::lanes; ++lane) {
        const std::uint32_t from =
            lane * step + (step == 1 ? 0 : static_cast<std::uint32_t>(layout));
        if (aicore::selects<V>(mask, from)) {
            const std::uint16_t flaw = std::max(srcReg0.flaw(from), srcReg1.flaw(from));
            const float difference = widen(srcReg0.get(from)) - widen(srcReg1.get(from));
            result.set(lane, flaw == 0 ? aicore::normal<float>(std::exp(difference)) : 0.0F, flaw);
        }
    }
    dstReg = result;
}
template <class T = DefaultType, class U = DefaultType, RegLayout layout = RegLayout::ZERO,
          MaskMergeMode mode = MaskMergeMode::ZEROING, aicore::Register S, aicore::Register V>
void FusedExpSub(S& dstReg, V& srcReg0, V& srcReg1, MaskReg& mask, AICORE_SITE) {
    ExpSub<T, U, layout, mode>(dstReg, srcReg0, srcReg1, mask, site);
}

}  // namespace AscendC::Reg
