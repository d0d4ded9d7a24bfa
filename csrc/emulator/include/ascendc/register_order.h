// Instructions on registers that move elements to other places, fill them, or reduce them.
#pragma once

#include "ascendc/register_cast.h"

namespace AscendC {

enum class SpecialPurposeReg : std::uint8_t { AR };

namespace Reg {

template <class T = DefaultType, class U, aicore::Register S>
    requires(!aicore::Register<U>)
void Duplicate(S& dstReg, U scalarValue) {
    static_assert(aicore::is_type_of<T, S>, "Duplicate: T must be the type of the register");
    for (std::uint32_t lane = 0; lane < S::lanes; ++lane) {
        dstReg.set(lane, static_cast<aicore::ElementOfRegister<S>>(scalarValue));
    }
}
template <class T = DefaultType, MaskMergeMode mode = MaskMergeMode::ZEROING, class U,
          aicore::Register S>
    requires(!aicore::Register<U>)
void Duplicate(S& dstReg, U scalarValue, MaskReg& mask, AICORE_SITE) {
    using E = aicore::ElementOfRegister<S>;
    static_assert(aicore::is_type_of<T, S>, "Duplicate: T must be the type of the register");
    const E value = static_cast<E>(scalarValue);
    aicore::per_lane(AICORE_NOTE("Duplicate"), dstReg, mask, mode == MaskMergeMode::MERGING,
                     [value]() { return value; });
}
/// The first element of a register.
template <class T = DefaultType, HighLowPart pos = HighLowPart::LOWEST,
          MaskMergeMode mode = MaskMergeMode::ZEROING, aicore::Register S>
void Duplicate(S& dstReg, S& srcReg, MaskReg& mask, AICORE_SITE) {
    static_assert(pos == HighLowPart::LOWEST, "Duplicate supports HighLowPart::LOWEST only");
    S first;
    for (std::uint32_t lane = 0; lane < S::lanes; ++lane) {
        first.set(lane, srcReg.get(0), srcReg.flaw(0));
    }
    aicore::per_lane(
        AICORE_NOTE("Duplicate"), dstReg, mask, mode == MaskMergeMode::MERGING,
        [](auto x) { return x; }, first);
}

template <class T = DefaultType, IndexOrder order = IndexOrder::INCREASE_ORDER, class U,
          aicore::Register S>
void Arange(S& dstReg, U scalarValue) {
    using E = aicore::ElementOfRegister<S>;
    static_assert(aicore::is_one_of<E, AICORE_REG_SIGNED>, "Arange has no such type");
    const auto begin = wide(static_cast<E>(scalarValue));
    for (std::uint32_t lane = 0; lane < S::lanes; ++lane) {
        const std::uint32_t step = order == IndexOrder::INCREASE_ORDER ? lane : S::lanes - 1 - lane;
        dstReg.set(lane, static_cast<E>(begin + static_cast<decltype(begin)>(step)));
    }
}

// Copies. With a mask, the other elements stay (MERGING) or become zero.
#define AICORE_REG_MOVE(NAME)                                                     \
    template <class T = DefaultType, MaskMergeMode mode = MaskMergeMode::MERGING, \
              aicore::Register U>                                                 \
    void NAME(U& dstReg, U& srcReg, MaskReg& mask, AICORE_SITE) {                 \
        aicore::per_lane(                                                         \
            AICORE_NOTE(#NAME), dstReg, mask, mode == MaskMergeMode::MERGING,     \
            [](auto x) { return x; }, srcReg);                                    \
    }                                                                             \
    template <class T = DefaultType, aicore::Register U>                          \
    void NAME(U& dstReg, U& srcReg) {                                             \
        dstReg = srcReg;                                                          \
    }
AICORE_REG_MOVE(Move)
AICORE_REG_MOVE(Copy)

/// Elements of two registers in turn.
template <class T = DefaultType, aicore::Register U>
void Interleave(U& dstReg0, U& dstReg1, U& srcReg0, U& srcReg1) {
    const U first = srcReg0;
    const U second = srcReg1;
    for (std::uint32_t place = 0; place < 2 * U::lanes; ++place) {
        const U& from = place % 2 == 0 ? first : second;
        U& to = place < U::lanes ? dstReg0 : dstReg1;
        to.set(place % U::lanes, from.get(place / 2), from.flaw(place / 2));
    }
}
template <class T = DefaultType, aicore::Register U>
void DeInterleave(U& dstReg0, U& dstReg1, U& srcReg0, U& srcReg1) {
    const U first = srcReg0;
    const U second = srcReg1;
    for (std::uint32_t place = 0; place < 2 * U::lanes; ++place) {
        const U& from = place < U::lanes ? first : second;
        U& to = place % 2 == 0 ? dstReg0 : dstReg1;
        to.set(place / 2, from.get(place % U::lanes), from.flaw(place % U::lanes));
    }
}

/// The lower half of each element, in one half of the result.
template <class T = DefaultType, class U = DefaultType, HighLowPart part = HighLowPart::LOWEST,
          aicore::Register S, aicore::Register V>
void Pack(S& dstReg, V& srcReg) {
    using To = aicore::ElementOfRegister<S>;
    static_assert(sizeof(To) * 2 == sizeof(aicore::ElementOfRegister<V>) && S::REG_NUM == 1 &&
                      V::REG_NUM == 1,
                  "Pack: elements of the result must have half the size");
    const V from = srcReg;
    dstReg.clear();
    constexpr std::uint32_t begin = part == HighLowPart::LOWEST ? 0 : V::lanes;
    for (std::uint32_t lane = 0; lane < V::lanes; ++lane) {
        dstReg.set(begin + lane, static_cast<To>(from.get(lane)), from.flaw(lane));
    }
}
/// One half of the elements, with twice their size.
template <class T = DefaultType, class U = DefaultType, HighLowPart part = HighLowPart::LOWEST,
          aicore::Register S, aicore::Register V>
void UnPack(S& dstReg, V& srcReg) {
    using To = aicore::ElementOfRegister<S>;
    using From = aicore::ElementOfRegister<V>;
    static_assert(sizeof(To) == sizeof(From) * 2 && S::REG_NUM == 1 && V::REG_NUM == 1 &&
                      std::is_signed_v<To> == std::is_signed_v<From>,
                  "UnPack: elements of the result must have twice the size, and the same sign");
    const V from = srcReg;
    constexpr std::uint32_t begin = part == HighLowPart::LOWEST ? 0 : S::lanes;
    for (std::uint32_t lane = 0; lane < S::lanes; ++lane) {
        dstReg.set(lane, static_cast<To>(from.get(begin + lane)), from.flaw(begin + lane));
    }
}

/// The elements that a mask selects, without the others.
template <class T = DefaultType, GatherMaskMode store = GatherMaskMode::NO_STORE_REG,
          aicore::Register U>
void Squeeze(U& dstReg, U& srcReg, MaskReg& mask, AICORE_SITE) {
    aicore::require_mask(AICORE_NOTE("Squeeze"), mask);
    const U from = srcReg;
    dstReg.clear();
    std::uint32_t kept = 0;
    for (std::uint32_t lane = 0; lane < U::lanes; ++lane) {
        if (aicore::selects<U>(mask, lane)) {
            dstReg.set(kept++, from.get(lane), from.flaw(lane));
        }
    }
    if constexpr (store == GatherMaskMode::STORE_REG) {
        aicore::Core& core = *aicore::core;
        core.require(core.squeezed == aicore::Core::nothing_squeezed, "unaligned",
                     "Squeeze with STORE_REG: StoreUnAlign must come between two of them", site);
        core.squeezed = kept * static_cast<std::uint32_t>(sizeof(aicore::ElementOfRegister<U>));
    }
}
template <class T = DefaultType, GatherMaskMode store = GatherMaskMode::NO_STORE_REG,
          aicore::Register U>
void GatherMask(U& dstReg, U& srcReg, MaskReg& mask, AICORE_SITE) {
    Squeeze<T, store>(dstReg, srcReg, mask, site);
}

/// Elements of a register by their places, which wrap around.
template <class T = DefaultType, class U = DefaultType, aicore::Register S, aicore::Register V>
void Gather(S& dstReg, S& srcReg, V& indexReg, AICORE_SITE) {
    static_assert(S::lanes == V::lanes, "Gather: the index must have the size of the elements");
    const aicore::Instruction instruction AICORE_NOTE("Gather");
    const S from = srcReg;
    for (std::uint32_t lane = 0; lane < S::lanes; ++lane) {
        const std::uint64_t at = aicore::index_of(instruction, indexReg, lane) % S::lanes;
        dstReg.set(lane, from.get(static_cast<std::uint32_t>(at)),
                   from.flaw(static_cast<std::uint32_t>(at)));
    }
}

/// The bytes that the pairs of Squeeze and StoreUnAlign stored.
template <SpecialPurposeReg spr>
void ClearSpr() {
    aicore::core->squeezed_before = 0;
    aicore::core->squeezed = aicore::Core::nothing_squeezed;
}

}  // namespace Reg

template <SpecialPurposeReg spr>
std::int64_t GetSpr(AICORE_SITE) {
    aicore::core->require(aicore::core->squeezed == aicore::Core::nothing_squeezed, "unaligned",
                          "GetSpr<SpecialPurposeReg::AR> behind Squeeze without StoreUnAlign",
                          site);
    return aicore::core->squeezed_before;
}
namespace Reg {
using AscendC::GetSpr;
using AscendC::SpecialPurposeReg;
}  // namespace Reg

}  // namespace AscendC

namespace aicore {

using AscendC::ReduceType;

/// The sum of elements that a mask selects, made in pairs, as on a device.
template <class To, Register R>
To sum_of(const Instruction& instruction, const R& from, const MaskReg& mask, std::uint32_t begin,
          std::uint32_t count) {
    Wrapping<To> sums[256] = {};
    for (std::uint32_t lane = 0; lane < count; ++lane) {
        if (selects<R>(mask, begin + lane) && require_known(instruction, from.flaw(begin + lane))) {
            sums[lane] = wide(static_cast<To>(from.get(begin + lane)));
        }
    }
    for (std::uint32_t step = 1; step < count; step *= 2) {
        for (std::uint32_t lane = 0; lane + step < count; lane += 2 * step) {
            sums[lane] += sums[lane + step];
        }
    }
    return static_cast<To>(sums[0]);
}

/// What a maximum or a minimum of no elements is.
template <ReduceType type, class T>
T extreme_of_none(const Instruction& instruction) {
    if constexpr (std::is_integral_v<T>) {
        using Limits = std::numeric_limits<T>;
        return type == ReduceType::MAX ? Limits::min() : Limits::max();
    } else {
        core->end("unsupported",
                  std::string(instruction.name) +
                      ": CANN does not name the result if the mask selects no element",
                  instruction.site);
    }
}

/// The sum, the maximum or the minimum of elements that a mask selects, with the place of the
/// latter.
template <ReduceType type, class To, Register R>
std::pair<To, std::uint32_t> reduced(const Instruction& instruction, const R& from,
                                     const MaskReg& mask, std::uint32_t begin,
                                     std::uint32_t count) {
    using From = ElementOfRegister<R>;
    if constexpr (type == ReduceType::SUM) {
        return {sum_of<To>(instruction, from, mask, begin, count), 0};
    } else {
        From best{};
        std::uint32_t place = 0;
        bool any = false;
        for (std::uint32_t lane = 0; lane < count; ++lane) {
            if (!selects<R>(mask, begin + lane) ||
                !require_known(instruction, from.flaw(begin + lane))) {
                continue;
            }
            const From value = from.get(begin + lane);
            const bool better = type == ReduceType::MAX ? value > best : value < best;
            if (!any || (best == best && (better || value != value))) {
                best = value;
                place = lane;
            }
            any = true;
        }
        return {any ? best : extreme_of_none<type, From>(instruction), place};
    }
}

/// The types of a sum: integers of 16 bits become 32.
template <ReduceType type, class To, class From>
constexpr bool has_reduction =
    (type == ReduceType::SUM &&
     ((std::is_same_v<To, std::int32_t> && std::is_same_v<From, std::int16_t>) ||
      (std::is_same_v<To, std::uint32_t> && std::is_same_v<From, std::uint16_t>))) ||
    (std::is_same_v<To, From> && sizeof(To) > 1 && !std::is_same_v<To, bfloat16_t> &&
     (type != ReduceType::SUM || !(std::is_integral_v<To> && sizeof(To) == 2)));

}  // namespace aicore

namespace AscendC::Reg {

/// One result in the first element, and for a maximum or a minimum its place in the second.
template <ReduceType type = ReduceType::SUM, class T = DefaultType, class U = DefaultType,
          MaskMergeMode mode = MaskMergeMode::ZEROING, aicore::Register S, aicore::Register V>
void Reduce(S& dstReg, V srcReg, MaskReg mask, AICORE_SITE) {
    using To = aicore::ElementOfRegister<S>;
    static_assert(aicore::has_reduction<type, To, aicore::ElementOfRegister<V>>,
                  "Reduce has no instruction for these types");
    static_assert(mode == MaskMergeMode::ZEROING, "Reduce supports ZEROING only");
    const aicore::Instruction instruction AICORE_NOTE("Reduce");
    aicore::require_mask(instruction, mask);
    const auto [value, place] = aicore::reduced<type, To>(instruction, srcReg, mask, 0, V::lanes);
    dstReg.clear();
    dstReg.set(0, value);
    if constexpr (type != ReduceType::SUM) {
        std::memcpy(dstReg.bytes + sizeof(To), &place, std::min(sizeof(To), sizeof place));
    }
}

/// One result for each block of 32 bytes, one after the other.
template <ReduceType type = ReduceType::SUM, class T = DefaultType, class U = DefaultType,
          MaskMergeMode mode = MaskMergeMode::ZEROING, aicore::Register S, aicore::Register V>
void ReduceDataBlock(S& dstReg, V srcReg, MaskReg mask, AICORE_SITE) {
    using To = aicore::ElementOfRegister<S>;
    static_assert(aicore::has_reduction<type, To, aicore::ElementOfRegister<V>> && sizeof(To) < 8,
                  "ReduceDataBlock has no instruction for these types");
    const aicore::Instruction instruction AICORE_NOTE("ReduceDataBlock");
    aicore::require_mask(instruction, mask);
    dstReg.clear();
    constexpr std::uint32_t count = V::lanes / 8;
    for (std::uint32_t block = 0; block < 8; ++block) {
        dstReg.set(
            block,
            aicore::reduced<type, To>(instruction, srcReg, mask, block * count, count).first);
    }
}

/// The sums of neighbours, in the lower half.
template <PairReduce type = PairReduce::SUM, class T = DefaultType,
          MaskMergeMode mode = MaskMergeMode::ZEROING, aicore::Register U>
void PairReduceElem(U& dstReg, U srcReg, MaskReg mask, AICORE_SITE) {
    using E = aicore::ElementOfRegister<U>;
    static_assert(aicore::is_one_of<E, half, float>, "PairReduceElem takes half or float");
    const aicore::Instruction instruction AICORE_NOTE("PairReduceElem");
    aicore::require_mask(instruction, mask);
    dstReg.clear();
    for (std::uint32_t pair = 0; pair < U::lanes / 2; ++pair) {
        dstReg.set(
            pair,
            aicore::reduced<ReduceType::SUM, E>(instruction, srcReg, mask, pair * 2, 2).first);
    }
}

// Former names.
#define AICORE_REG_REDUCE(NAME, FUNCTION, TYPE)                                                    \
    template <class T = DefaultType, class U = DefaultType,                                        \
              MaskMergeMode mode = MaskMergeMode::ZEROING, aicore::Register S, aicore::Register V> \
    void NAME(S& dstReg, V srcReg, MaskReg mask, AICORE_SITE) {                                    \
        FUNCTION<ReduceType::TYPE>(dstReg, srcReg, mask, site);                                    \
    }
AICORE_REG_REDUCE(ReduceSum, Reduce, SUM)
AICORE_REG_REDUCE(ReduceMax, Reduce, MAX)
AICORE_REG_REDUCE(ReduceMin, Reduce, MIN)
AICORE_REG_REDUCE(ReduceSumWithDataBlock, ReduceDataBlock, SUM)
AICORE_REG_REDUCE(ReduceMaxWithDataBlock, ReduceDataBlock, MAX)
AICORE_REG_REDUCE(ReduceMinWithDataBlock, ReduceDataBlock, MIN)

}  // namespace AscendC::Reg
