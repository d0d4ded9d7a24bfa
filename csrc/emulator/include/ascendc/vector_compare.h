// Compare, Select and GatherMask: bits per element, and what is chosen by them.
#pragma once

#include "ascendc/vector_engine.h"

namespace aicore {

using AscendC::CMPMODE;
using AscendC::SELMODE;

template <class T>
bool holds(CMPMODE mode, T first, T second) {
    switch (mode) {
        case CMPMODE::LT:
            return first < second;
        case CMPMODE::GT:
            return first > second;
        case CMPMODE::EQ:
            return first == second;
        case CMPMODE::LE:
            return first <= second;
        case CMPMODE::GE:
            return first >= second;
        default:
            return first != second;
    }
}

inline bool bit_of(const std::uint8_t* bits, std::uint64_t index) {
    return (bits[index / 8] >> (index % 8) & 1) != 0;
}

inline void set_bit(std::uint8_t* bits, std::uint64_t index, bool value) {
    const auto bit = static_cast<std::uint8_t>(1U << (index % 8));
    bits[index / 8] =
        static_cast<std::uint8_t>(value ? bits[index / 8] | bit : bits[index / 8] & ~bit);
}

/// Compare `count` elements with what `second` gives for each index.
template <class T, class U, class Second>
void compare_count(const Instruction& instruction, const LocalTensor<U>& to,
                   const LocalTensor<T>& first, CMPMODE mode, std::uint32_t count, Second second) {
    require_vector_operand(instruction, first);
    core->require(count * sizeof(T) % 256 == 0, "count",
                  "Compare: the elements must fill whole repeats of 256 bytes", instruction.site);
    first.use(instruction, 0, count * sizeof(T), false);
    to.use(instruction, 0, (count + 7) / 8, true);
    auto* const bits = reinterpret_cast<std::uint8_t*>(to.data());
    for (std::uint32_t index = 0; index < count; ++index) {
        set_bit(bits, index, holds(mode, widen(first.data()[index]), widen(second(index))));
    }
}

/// The bit that decides over an element: with VSEL_CMPMASK_SPR, the bits of the first repeat count
/// for each.
template <class T>
std::uint64_t deciding_bit(SELMODE mode, std::uint64_t index) {
    return mode == SELMODE::VSEL_CMPMASK_SPR ? index % (256 / sizeof(T)) : index;
}
template <class T>
std::uint64_t mask_bytes(SELMODE mode, std::uint64_t count) {
    const std::uint64_t bits =
        mode == SELMODE::VSEL_CMPMASK_SPR ? std::min<std::uint64_t>(count, 256 / sizeof(T)) : count;
    return (bits + 7) / 8;
}

/// Choose for `count` elements.
template <class T, class U, class Second>
void select_count(const Instruction& instruction, const LocalTensor<T>& to,
                  const LocalTensor<U>& mask, const LocalTensor<T>& first, SELMODE mode,
                  std::uint32_t count, Second second) {
    require_vector_operand(instruction, first);
    require_vector_operand(instruction, to);
    mask.use(instruction, 0, mask_bytes<T>(mode, count), false);
    first.use(instruction, 0, count * sizeof(T), false);
    to.use(instruction, 0, count * sizeof(T), true);
    const auto* const bits = reinterpret_cast<const std::uint8_t*>(mask.data());
    for (std::uint32_t index = 0; index < count; ++index) {
        to.data()[index] =
            bit_of(bits, deciding_bit<T>(mode, index)) ? first.data()[index] : second(index);
    }
}

template <class T, class U, class Second>
void select_repeats(const Instruction& instruction, const LocalTensor<T>& to,
                    const LocalTensor<U>& mask, const LocalTensor<T>& first, SELMODE mode,
                    const Lanes& lanes, const AscendC::BinaryRepeatParams& strides, Second second) {
    const Operand to_operand{strides.dstBlkStride, strides.dstRepStride};
    const Operand first_operand{strides.src0BlkStride, strides.src0RepStride};
    mask.use(instruction, 0, mask_bytes<T>(mode, lanes.repeats * lanes.per_repeat), false);
    use_operand(instruction, first, first_operand, lanes, false);
    use_operand(instruction, to, to_operand, lanes, true);
    const auto* const bits = reinterpret_cast<const std::uint8_t*>(mask.data());
    for (std::uint32_t repeat = 0; repeat < lanes.repeats; ++repeat) {
        for (std::uint32_t lane = 0; lane < lanes.per_repeat; ++lane) {
            if (lanes.is_on(repeat, lane)) {
                *element_at(to, to_operand, repeat, lane) =
                    bit_of(bits, deciding_bit<T>(mode, repeat * lanes.per_repeat + lane))
                        ? *element_at(first, first_operand, repeat, lane)
                        : second(repeat, lane);
            }
        }
    }
}

/// Whether GatherMask's fixed pattern takes element `index`.
inline bool in_pattern(std::uint8_t pattern, std::uint64_t index) {
    return pattern == 1   ? index % 2 == 0
           : pattern == 2 ? index % 2 == 1
           : pattern == 7 ? true
                          : index % 4 == static_cast<std::uint64_t>(pattern - 3);
}

}  // namespace aicore

namespace AscendC {

template <class T, class U>
void Compare(const LocalTensor<U>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,
             CMPMODE cmpMode, std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Compare", aicore::Pipe::v, site};
    src1.use(instruction, 0, count * sizeof(T), false);
    aicore::compare_count(instruction, dst, src0, cmpMode, count,
                          [&](std::uint32_t index) { return src1.data()[index]; });
}
template <class T, class U, bool isSetMask = true, class Mask>
void Compare(const LocalTensor<U>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,
             CMPMODE cmpMode, Mask mask, std::uint8_t repeatTime,
             const BinaryRepeatParams& repeatParams, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Compare", aicore::Pipe::v, site};
    const aicore::Lanes lanes =
        aicore::lanes_of(instruction, isSetMask, mask, sizeof(T), repeatTime);
    const aicore::Operand first{repeatParams.src0BlkStride, repeatParams.src0RepStride};
    const aicore::Operand second{repeatParams.src1BlkStride, repeatParams.src1RepStride};
    aicore::use_operand(instruction, src0, first, lanes, false);
    aicore::use_operand(instruction, src1, second, lanes, false);
    dst.use(instruction, 0, (lanes.repeats * lanes.per_repeat + 7) / 8, true);
    auto* const bits = reinterpret_cast<std::uint8_t*>(dst.data());
    for (std::uint32_t repeat = 0; repeat < lanes.repeats; ++repeat) {
        for (std::uint32_t lane = 0; lane < lanes.per_repeat; ++lane) {
            if (lanes.is_on(repeat, lane)) {
                aicore::set_bit(
                    bits, repeat * lanes.per_repeat + lane,
                    aicore::holds(cmpMode,
                                  aicore::widen(*aicore::element_at(src0, first, repeat, lane)),
                                  aicore::widen(*aicore::element_at(src1, second, repeat, lane))));
            }
        }
    }
}
template <class T, class U>
void CompareScalar(const LocalTensor<U>& dst, const LocalTensor<T>& src0,
                   const aicore::Given<T>& src1Scalar, CMPMODE cmpMode, std::uint32_t count,
                   aicore::Site site = aicore::Site::here()) {
    aicore::compare_count({"CompareScalar", aicore::Pipe::v, site}, dst, src0, cmpMode, count,
                          [&](std::uint32_t) { return src1Scalar; });
}
template <class T, class U>
void Compares(const LocalTensor<U>& dst, const LocalTensor<T>& src0,
              const aicore::Given<T>& src1Scalar, CMPMODE cmpMode, std::uint32_t count,
              aicore::Site site = aicore::Site::here()) {
    CompareScalar(dst, src0, src1Scalar, cmpMode, count, site);
}

template <class T, class U>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& selMask, const LocalTensor<T>& src0,
            const LocalTensor<T>& src1, SELMODE selMode, std::uint32_t count,
            aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Select", aicore::Pipe::v, site};
    src1.use(instruction, 0, count * sizeof(T), false);
    aicore::select_count(instruction, dst, selMask, src0, selMode, count,
                         [&](std::uint32_t index) { return src1.data()[index]; });
}
template <class T, class U>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& selMask, const LocalTensor<T>& src0,
            aicore::Given<T> src1, SELMODE selMode, std::uint32_t count,
            aicore::Site site = aicore::Site::here()) {
    aicore::select_count({"Select", aicore::Pipe::v, site}, dst, selMask, src0, selMode, count,
                         [&](std::uint32_t) { return src1; });
}
template <class T, class U, bool isSetMask = true, class Mask>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& selMask, const LocalTensor<T>& src0,
            const LocalTensor<T>& src1, SELMODE selMode, Mask mask, std::uint8_t repeatTime,
            const BinaryRepeatParams& repeatParams, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Select", aicore::Pipe::v, site};
    const aicore::Lanes lanes =
        aicore::lanes_of(instruction, isSetMask, mask, sizeof(T), repeatTime);
    const aicore::Operand second{repeatParams.src1BlkStride, repeatParams.src1RepStride};
    aicore::use_operand(instruction, src1, second, lanes, false);
    aicore::select_repeats(instruction, dst, selMask, src0, selMode, lanes, repeatParams,
                           [&](std::uint32_t repeat, std::uint32_t lane) {
                               return *aicore::element_at(src1, second, repeat, lane);
                           });
}
template <class T, class U, bool isSetMask = true, class Mask>
void Select(const LocalTensor<T>& dst, const LocalTensor<U>& selMask, const LocalTensor<T>& src0,
            aicore::Given<T> src1, SELMODE selMode, Mask mask, std::uint8_t repeatTime,
            const BinaryRepeatParams& repeatParams, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Select", aicore::Pipe::v, site};
    aicore::select_repeats(instruction, dst, selMask, src0, selMode,
                           aicore::lanes_of(instruction, isSetMask, mask, sizeof(T), repeatTime),
                           repeatParams, [&](std::uint32_t, std::uint32_t) { return src1; });
}

/// Compare one repeat; the bits stay in the register of the compare mask.
template <class T, bool isSetMask = true, class Mask>
void Compare(const LocalTensor<T>& src0, const LocalTensor<T>& src1, CMPMODE cmpMode, Mask mask,
             const BinaryRepeatParams& repeatParams, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Compare", aicore::Pipe::v, site};
    const aicore::Lanes lanes = aicore::lanes_of(instruction, isSetMask, mask, sizeof(T), 1);
    const aicore::Operand first{repeatParams.src0BlkStride, repeatParams.src0RepStride};
    const aicore::Operand second{repeatParams.src1BlkStride, repeatParams.src1RepStride};
    aicore::use_operand(instruction, src0, first, lanes, false);
    aicore::use_operand(instruction, src1, second, lanes, false);
    auto* const bits = reinterpret_cast<std::uint8_t*>(aicore::core->compare_mask.data());
    for (std::uint32_t lane = 0; lane < lanes.per_repeat; ++lane) {
        if (lanes.is_on(0, lane)) {
            aicore::set_bit(
                bits, lane,
                aicore::holds(cmpMode, aicore::widen(*aicore::element_at(src0, first, 0, lane)),
                              aicore::widen(*aicore::element_at(src1, second, 0, lane))));
        }
    }
}
template <class T>
void GetCmpMask(const LocalTensor<T>& dst, aicore::Site site = aicore::Site::here()) {
    dst.use({"GetCmpMask", aicore::Pipe::v, site}, 0, 16, true);
    std::memcpy(dst.data(), aicore::core->compare_mask.data(), 16);
}
template <class T>
void SetCmpMask(const LocalTensor<T>& src, aicore::Site site = aicore::Site::here()) {
    src.use({"SetCmpMask", aicore::Pipe::v, site}, 0, 16, false);
    std::memcpy(aicore::core->compare_mask.data(), src.data(), 16);
}

/// Select by the register of the compare mask, which counts for each repeat.
template <class T, SELMODE selMode = SELMODE::VSEL_CMPMASK_SPR>
void Select(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,
            std::uint8_t repeatTime, const BinaryRepeatParams& repeatParams,
            aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Select", aicore::Pipe::v, site};
    const aicore::Lanes lanes =
        aicore::lanes_of(instruction, false, std::uint64_t{0}, sizeof(T), repeatTime);
    const auto* const bits =
        reinterpret_cast<const std::uint8_t*>(aicore::core->compare_mask.data());
    const aicore::Operand to{repeatParams.dstBlkStride, repeatParams.dstRepStride};
    const aicore::Operand first{repeatParams.src0BlkStride, repeatParams.src0RepStride};
    const aicore::Operand second{repeatParams.src1BlkStride, repeatParams.src1RepStride};
    aicore::use_operand(instruction, src0, first, lanes, false);
    aicore::use_operand(instruction, src1, second, lanes, false);
    aicore::use_operand(instruction, dst, to, lanes, true);
    for (std::uint32_t repeat = 0; repeat < lanes.repeats; ++repeat) {
        for (std::uint32_t lane = 0; lane < lanes.per_repeat; ++lane) {
            if (lanes.is_on(repeat, lane)) {
                *aicore::element_at(dst, to, repeat, lane) =
                    aicore::bit_of(bits, lane) ? *aicore::element_at(src0, first, repeat, lane)
                                               : *aicore::element_at(src1, second, repeat, lane);
            }
        }
    }
}

struct GatherMaskParams {
    GatherMaskParams() = default;
    GatherMaskParams(std::uint8_t block_stride, std::uint16_t repeats, std::uint16_t repeat_stride,
                     std::uint8_t pattern_stride)
        : src0BlockStride(block_stride),
          repeatTimes(repeats),
          src0RepeatStride(repeat_stride),
          src1RepeatStride(pattern_stride) {}
    std::uint8_t src0BlockStride = DEFAULT_BLK_STRIDE;
    std::uint16_t repeatTimes = 0;
    std::uint16_t src0RepeatStride = DEFAULT_REPEAT_STRIDE;
    std::uint8_t src1RepeatStride = DEFAULT_REPEAT_STRIDE;
};

}  // namespace AscendC

namespace aicore {

/// GatherMask: keep the elements that `takes(repeat, index in repeat)` names, one after another.
template <class T, class Takes>
std::uint64_t gather_mask(const Instruction& instruction, const LocalTensor<T>& to,
                          const LocalTensor<T>& from, bool reduces, std::uint32_t mask,
                          const AscendC::GatherMaskParams& params, Takes takes) {
    const std::uint32_t per_repeat =
        reduces && mask != 0 ? mask : static_cast<std::uint32_t>(256 / sizeof(T));
    const Operand operand{params.src0BlockStride, params.src0RepeatStride};
    constexpr std::uint32_t per_block = block_bytes / sizeof(T);
    std::uint64_t kept = 0;
    for (std::uint32_t repeat = 0; repeat < params.repeatTimes; ++repeat) {
        for (std::uint32_t block = 0; block * per_block < per_repeat; ++block) {
            from.use(instruction,
                     std::uint64_t{repeat * operand.repeat_stride + block * operand.block_stride} *
                         block_bytes,
                     std::min(per_block, per_repeat - block * per_block) * sizeof(T), false);
        }
        for (std::uint32_t index = 0; index < per_repeat; ++index) {
            if (takes(repeat, index)) {
                to.data()[kept++] = *element_at(from, operand, repeat, index);
            }
        }
    }
    to.use(instruction, 0, kept * sizeof(T), true);
    core->kept = kept;
    return kept;
}

}  // namespace aicore

namespace AscendC {

template <class T>
void GatherMask(const LocalTensor<T>& dst, const LocalTensor<T>& src0, std::uint8_t src1Pattern,
                bool reduceMode, std::uint32_t mask, const GatherMaskParams& gatherMaskParams,
                std::uint64_t& rsvdCnt, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"GatherMask", aicore::Pipe::v, site};
    if (src1Pattern < 1 || src1Pattern > 7) {
        aicore::core->end("pattern", "GatherMask: the pattern must be 1 to 7", site);
    }
    rsvdCnt = aicore::gather_mask(instruction, dst, src0, reduceMode, mask, gatherMaskParams,
                                  [src1Pattern](std::uint32_t, std::uint32_t index) {
                                      return aicore::in_pattern(src1Pattern, index);
                                  });
}
template <class T, class U>
void GatherMask(const LocalTensor<T>& dst, const LocalTensor<T>& src0,
                const LocalTensor<U>& src1Pattern, bool reduceMode, std::uint32_t mask,
                const GatherMaskParams& gatherMaskParams, std::uint64_t& rsvdCnt,
                aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"GatherMask", aicore::Pipe::v, site};
    const std::uint32_t bits_per_repeat =
        reduceMode && mask != 0 ? mask : static_cast<std::uint32_t>(256 / sizeof(T));
    src1Pattern.use(instruction, 0, (bits_per_repeat + 7) / 8, false);
    const auto* const bits = reinterpret_cast<const std::uint8_t*>(src1Pattern.data());
    rsvdCnt = aicore::gather_mask(
        instruction, dst, src0, reduceMode, mask, gatherMaskParams,
        [&](std::uint32_t repeat, std::uint32_t index) {
            return aicore::bit_of(bits + repeat * gatherMaskParams.src1RepeatStride * 32, index);
        });
}

}  // namespace AscendC
