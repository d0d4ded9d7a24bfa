// MaskReg: which elements of a register take part.
#pragma once

#include "ascendc/register_types.h"

namespace aicore {

/// The first elements, each with a step of bits.
inline MaskReg first_of(std::uint32_t count, std::uint32_t step) {
    MaskReg mask;
    mask.is_set = true;
    for (std::uint32_t lane = 0; lane < count && lane * step < 256; ++lane) {
        mask.turn_on(lane * step);
    }
    return mask;
}

constexpr std::uint32_t lanes_of_pattern(AscendC::Reg::MaskPattern pattern, std::uint32_t lanes) {
    using AscendC::Reg::MaskPattern;
    constexpr std::uint32_t counts[] = {256, 1, 2, 3, 4, 8, 16, 32, 64, 128};
    return pattern == MaskPattern::ALLF  ? 0
           : pattern == MaskPattern::H   ? lanes / 2
           : pattern == MaskPattern::Q   ? lanes / 4
           : pattern == MaskPattern::ALL ? lanes
                                         : std::min(lanes, counts[static_cast<int>(pattern)]);
}

/// A mask of what `body` gives for the words of bits.
template <class Body, class... Masks>
MaskReg of_bits(const Instruction& instruction, Body body, const Masks&... masks) {
    (require_mask(instruction, masks), ...);
    MaskReg result;
    result.is_set = true;
    for (std::size_t word = 0; word < result.bits.size(); ++word) {
        result.bits[word] = body(masks.bits[word]...);
    }
    return result;
}

/// A mask whose bit `to` is the bit `from_of(to)` of a mask; -1 is a zero.
template <class From>
MaskReg moved_bits(From bit_of) {
    MaskReg result;
    result.is_set = true;
    for (std::uint32_t bit = 0; bit < 256; ++bit) {
        if (bit_of(bit)) {
            result.turn_on(bit);
        }
    }
    return result;
}

}  // namespace aicore

namespace AscendC::Reg {

template <class T, MaskPattern mode = MaskPattern::ALL, const RegTrait& regTrait = RegTraitNumOne>
MaskReg CreateMask() {
    constexpr std::uint32_t lanes = regTrait.REG_NUM * aicore::register_bytes / sizeof(T);
    constexpr std::uint32_t step = 256 / lanes;
    if constexpr (mode == MaskPattern::M3 || mode == MaskPattern::M4) {
        constexpr std::uint32_t every = mode == MaskPattern::M3 ? 3 : 4;
        MaskReg mask;
        mask.is_set = true;
        for (std::uint32_t lane = 0; lane < lanes; lane += every) {
            mask.turn_on(lane * step);
        }
        return mask;
    } else {
        return aicore::first_of(aicore::lanes_of_pattern(mode, lanes), step);
    }
}

/// The next elements of `scalarValue`, which becomes what is left.
template <class T, const RegTrait& regTrait = RegTraitNumOne>
MaskReg UpdateMask(std::uint32_t& scalarValue) {
    constexpr std::uint32_t lanes = regTrait.REG_NUM * aicore::register_bytes / sizeof(T);
    const std::uint32_t count = std::min(scalarValue, lanes);
    scalarValue -= count;
    return aicore::first_of(count, 256 / lanes);
}

/// The mask of SetVectorMask.
template <class T>
MaskReg MoveMask() {
    static_assert(sizeof(T) == 2 || sizeof(T) == 4, "MoveMask takes types of 16 or 32 bits");
    return aicore::moved_bits([](std::uint32_t bit) {
        const std::uint32_t lane = bit / sizeof(T);
        return (aicore::core->mask.bits[lane / 64] >> (lane % 64) & 1) != 0;
    });
}

#define AICORE_MASK(NAME, FORMER, EXPRESSION)                                           \
    inline void NAME(MaskReg& dst, MaskReg& src0, MaskReg& src1, MaskReg& mask,         \
                     aicore::Site site = aicore::Site::here()) {                        \
        dst = aicore::of_bits(                                                          \
            {#NAME, aicore::Pipe::v, site},                                             \
            [](auto x, auto y, auto m) { return (EXPRESSION) & m; }, src0, src1, mask); \
    }                                                                                   \
    inline void FORMER(MaskReg& dst, MaskReg& src0, MaskReg& src1, MaskReg& mask,       \
                       aicore::Site site = aicore::Site::here()) {                      \
        NAME(dst, src0, src1, mask, site);                                              \
    }

AICORE_MASK(And, MaskAnd, x& y)
AICORE_MASK(Or, MaskOr, x | y)
AICORE_MASK(Xor, MaskXor, x ^ y)

inline void Not(MaskReg& dst, MaskReg& src, MaskReg& mask,
                aicore::Site site = aicore::Site::here()) {
    dst = aicore::of_bits(
        {"Not", aicore::Pipe::v, site}, [](auto x, auto m) { return ~x & m; }, src, mask);
}
inline void MaskNot(MaskReg& dst, MaskReg& src, MaskReg& mask,
                    aicore::Site site = aicore::Site::here()) {
    Not(dst, src, mask, site);
}
inline void Move(MaskReg& dst, MaskReg& src, MaskReg& mask,
                 aicore::Site site = aicore::Site::here()) {
    dst = aicore::of_bits(
        {"Move", aicore::Pipe::v, site}, [](auto x, auto m) { return x & m; }, src, mask);
}
inline void Move(MaskReg& dst, MaskReg& src, aicore::Site site = aicore::Site::here()) {
    dst = aicore::of_bits({"Move", aicore::Pipe::v, site}, [](auto x) { return x; }, src);
}
inline void Select(MaskReg& dst, MaskReg& src0, MaskReg& src1, MaskReg& mask,
                   aicore::Site site = aicore::Site::here()) {
    dst = aicore::of_bits(
        {"Select", aicore::Pipe::v, site},
        [](auto x, auto y, auto m) { return (x & m) | (y & ~m); }, src0, src1, mask);
}
inline void MaskSel(MaskReg& dst, MaskReg& src0, MaskReg& src1, MaskReg& mask,
                    aicore::Site site = aicore::Site::here()) {
    Select(dst, src0, src1, mask, site);
}

/// The bits at even places, in one half of the result.
template <HighLowPart part = HighLowPart::LOWEST>
void Pack(MaskReg& dst, MaskReg& src, aicore::Site site = aicore::Site::here()) {
    aicore::require_mask({"Pack", aicore::Pipe::v, site}, src);
    constexpr std::uint32_t begin = part == HighLowPart::LOWEST ? 0 : 128;
    dst = aicore::moved_bits([from = src](std::uint32_t bit) {
        return bit - begin < 128 && from.on((bit - begin) * 2);
    });
}
template <HighLowPart part = HighLowPart::LOWEST>
void MaskPack(MaskReg& dst, MaskReg& src, aicore::Site site = aicore::Site::here()) {
    Pack<part>(dst, src, site);
}
/// One half of the bits, each with a zero behind it.
template <HighLowPart part = HighLowPart::LOWEST>
void UnPack(MaskReg& dst, MaskReg& src, aicore::Site site = aicore::Site::here()) {
    aicore::require_mask({"UnPack", aicore::Pipe::v, site}, src);
    constexpr std::uint32_t begin = part == HighLowPart::LOWEST ? 0 : 128;
    dst = aicore::moved_bits(
        [from = src](std::uint32_t bit) { return bit % 2 == 0 && from.on(begin + bit / 2); });
}
template <HighLowPart part = HighLowPart::LOWEST>
void MaskUnPack(MaskReg& dst, MaskReg& src, aicore::Site site = aicore::Site::here()) {
    UnPack<part>(dst, src, site);
}

/// Elements of two masks in turn; T is the type whose elements they select.
template <class T>
void Interleave(MaskReg& dst0, MaskReg& dst1, MaskReg& src0, MaskReg& src1,
                aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Interleave", aicore::Pipe::v, site};
    aicore::require_mask(instruction, src0);
    aicore::require_mask(instruction, src1);
    const auto bit_of = [first = src0, second = src1](std::uint32_t place) {
        const std::uint32_t group = place / sizeof(T);
        const std::uint32_t bit = group / 2 * sizeof(T) + place % sizeof(T);
        return (group % 2 == 0 ? first : second).on(bit);
    };
    dst0 = aicore::moved_bits(bit_of);
    dst1 = aicore::moved_bits([bit_of](std::uint32_t bit) { return bit_of(bit + 256); });
}
template <class T>
void DeInterleave(MaskReg& dst0, MaskReg& dst1, MaskReg& src0, MaskReg& src1,
                  aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"DeInterleave", aicore::Pipe::v, site};
    aicore::require_mask(instruction, src0);
    aicore::require_mask(instruction, src1);
    const auto bit_of = [first = src0, second = src1](std::uint32_t place, std::uint32_t odd) {
        const std::uint32_t group = place / sizeof(T) * 2 + odd;
        const std::uint32_t bit = group * sizeof(T) + place % sizeof(T);
        return bit < 256 ? first.on(bit) : second.on(bit - 256);
    };
    dst0 = aicore::moved_bits([bit_of](std::uint32_t bit) { return bit_of(bit, 0); });
    dst1 = aicore::moved_bits([bit_of](std::uint32_t bit) { return bit_of(bit, 1); });
}
template <class T>
void MaskInterleave(MaskReg& dst0, MaskReg& dst1, MaskReg& src0, MaskReg& src1,
                    aicore::Site site = aicore::Site::here()) {
    Interleave<T>(dst0, dst1, src0, src1, site);
}
template <class T>
void MaskDeInterleave(MaskReg& dst0, MaskReg& dst1, MaskReg& src0, MaskReg& src1,
                      aicore::Site site = aicore::Site::here()) {
    DeInterleave<T>(dst0, dst1, src0, src1, site);
}

/// The bits of a register, each for one element.
template <class T = DefaultType, std::int16_t offset, aicore::Register U>
void MaskGenWithRegTensor(MaskReg& dst, U& srcReg, aicore::Site site = aicore::Site::here()) {
    constexpr std::uint32_t width = sizeof(aicore::ElementOfRegister<U>);
    static_assert(width == 2 || width == 4, "MaskGenWithRegTensor takes types of 16 or 32 bits");
    constexpr std::uint32_t bytes = 32 / width;
    static_assert(offset >= 0 && offset < static_cast<int>(256 / bytes),
                  "MaskGenWithRegTensor: offset must be 0 to 15 for 16 bits, 0 to 31 for 32");
    const aicore::Instruction instruction{"MaskGenWithRegTensor", aicore::Pipe::v, site};
    dst = aicore::moved_bits([&](std::uint32_t bit) {
        const std::uint32_t lane = bit / width;
        const std::uint32_t byte = offset * bytes + lane / 8;
        return aicore::require_known(instruction, srcReg.flaws[byte]) &&
               (srcReg.bytes[byte] >> (lane % 8) & 1) != 0;
    });
}

}  // namespace AscendC::Reg
