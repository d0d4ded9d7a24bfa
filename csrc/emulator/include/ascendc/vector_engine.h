// How one vector instruction goes over its operands: masks, repeats and strides.
//
// A repeat covers 256 bytes of the widest operand in 8 blocks of 32 bytes. The forms with a count
// go over consecutive elements.
#pragma once

#include <algorithm>
#include <cmath>

#include "ascendc/tensor.h"

namespace AscendC {

struct UnaryRepeatParams {
    UnaryRepeatParams() = default;
    UnaryRepeatParams(std::uint16_t dst_block, std::uint16_t src_block, std::uint8_t dst_repeat,
                      std::uint8_t src_repeat)
        : dstBlkStride(dst_block),
          srcBlkStride(src_block),
          dstRepStride(dst_repeat),
          srcRepStride(src_repeat) {}
    std::uint32_t blockNumber = DEFAULT_BLK_NUM;
    std::uint16_t dstBlkStride = DEFAULT_BLK_STRIDE;
    std::uint16_t srcBlkStride = DEFAULT_BLK_STRIDE;
    std::uint8_t dstRepStride = DEFAULT_REPEAT_STRIDE;
    std::uint8_t srcRepStride = DEFAULT_REPEAT_STRIDE;
    bool repeatStrideMode = false;
    bool strideSizeMode = false;
    bool halfBlock = false;
};

struct BinaryRepeatParams {
    BinaryRepeatParams() = default;
    BinaryRepeatParams(std::uint8_t dst_block, std::uint8_t src0_block, std::uint8_t src1_block,
                       std::uint8_t dst_repeat, std::uint8_t src0_repeat, std::uint8_t src1_repeat)
        : dstBlkStride(dst_block),
          src0BlkStride(src0_block),
          src1BlkStride(src1_block),
          dstRepStride(dst_repeat),
          src0RepStride(src0_repeat),
          src1RepStride(src1_repeat) {}
    std::uint32_t blockNumber = DEFAULT_BLK_NUM;
    std::uint8_t dstBlkStride = DEFAULT_BLK_STRIDE;
    std::uint8_t src0BlkStride = DEFAULT_BLK_STRIDE;
    std::uint8_t src1BlkStride = DEFAULT_BLK_STRIDE;
    std::uint8_t dstRepStride = DEFAULT_REPEAT_STRIDE;
    std::uint8_t src0RepStride = DEFAULT_REPEAT_STRIDE;
    std::uint8_t src1RepStride = DEFAULT_REPEAT_STRIDE;
    bool repeatStrideMode = false;
    bool strideSizeMode = false;
};

}  // namespace AscendC

namespace aicore {

/// The bits of the first lanes of a mask.
inline std::array<std::uint64_t, 2> first_lanes(std::uint64_t count) {
    return {count >= 64 ? ~0ULL : (1ULL << count) - 1, count >= 128  ? ~0ULL
                                                       : count <= 64 ? 0
                                                                     : (1ULL << (count - 64)) - 1};
}

}  // namespace aicore

namespace AscendC {

/// Let the vector instructions that follow take `len` elements (COUNTER) or these lanes (NORMAL).
template <class T, MaskMode mode = MaskMode::NORMAL>
void SetVectorMask(std::uint64_t high, std::uint64_t low) {
    aicore::core->mask.bits = {low, high};
    aicore::core->mask.count = static_cast<std::uint32_t>(low);
}
template <class T, MaskMode mode = MaskMode::NORMAL>
void SetVectorMask(std::int32_t length) {
    aicore::core->mask.count = static_cast<std::uint32_t>(length);
    aicore::core->mask.bits = aicore::first_lanes(static_cast<std::uint64_t>(length));
}
inline void SetMaskCount() { aicore::core->mask.counts = true; }
inline void SetMaskNorm() { aicore::core->mask.counts = false; }
inline void ResetMask() {
    aicore::core->mask.bits = {~0ULL, ~0ULL};
    aicore::core->mask.count = 0;
}

}  // namespace AscendC

namespace aicore {

using AscendC::LocalTensor;

/// The place of a call through a pointer to an instruction, whose line is not known. A kernel that
/// passes an instruction as a template argument takes its address: such forms have no place as a
/// parameter, and their operands are of `Tensor<T>`, so that a call by name prefers the others.
constexpr Site through_pointer{"a call through a pointer", 0};

/// The type in which an instruction computes: fp32 for the types of 16 bits, rounded once at the
/// end.
template <class T>
using Computed =
    std::conditional_t<std::is_same_v<T, half> || std::is_same_v<T, bfloat16_t>, float, T>;

template <class T>
Computed<T> widen(T value) {
    return static_cast<Computed<T>>(value);
}

/// The lanes of an instruction, and how often it repeats.
struct Lanes {
    VectorMask mask;
    std::uint32_t per_repeat;
    std::uint32_t repeats;

    bool is_on(std::uint32_t repeat, std::uint32_t lane) const {
        return mask.counts ? repeat * per_repeat + lane < mask.count
                           : (mask.bits[lane / 64] >> (lane % 64) & 1) != 0;
    }
    bool all_on() const {
        if (mask.counts) {
            return mask.count % per_repeat == 0;
        }
        return mask.bits[0] == ~0ULL && (per_repeat <= 64 || mask.bits[1] == ~0ULL);
    }
};

/// The lanes of the form with a mask of consecutive lanes. `set` is isSetMask: with false, the
/// mask of SetVectorMask counts.
inline Lanes lanes_of(const Instruction& instruction, bool set, std::uint64_t mask,
                      std::uint32_t width, std::int32_t repeats) {
    const std::uint32_t per_repeat = 256 / width;
    Lanes lanes{core->mask, per_repeat, static_cast<std::uint32_t>(repeats)};
    if (set) {
        if (core->mask.counts) {
            lanes.mask.count = static_cast<std::uint32_t>(mask);
        } else {
            if (mask < 1 || mask > per_repeat) {
                core->report("mask",
                             std::string(instruction.name) + ": the mask must be 1 to " +
                                 std::to_string(per_repeat) + ", got " + std::to_string(mask),
                             instruction.site);
            }
            lanes.mask.bits = first_lanes(std::min<std::uint64_t>(mask, per_repeat));
        }
    }
    if (lanes.mask.counts) {
        lanes.repeats = (lanes.mask.count + per_repeat - 1) / per_repeat;
    } else if (repeats < 0 || repeats > 255) {
        core->end("repeat",
                  std::string(instruction.name) + ": repeatTime must be 0 to 255, got " +
                      std::to_string(repeats),
                  instruction.site);
    }
    core->add_repeats(instruction, lanes.repeats);
    return lanes;
}

/// The lanes of the form with a mask of bits.
inline Lanes lanes_of(const Instruction& instruction, bool set, const std::uint64_t mask[],
                      std::uint32_t width, std::int32_t repeats) {
    Lanes lanes = lanes_of(instruction, false, std::uint64_t{0}, width, repeats);
    if (set && !core->mask.counts) {
        lanes.mask.bits = {mask[0], width == 2 || width == 1 ? mask[1] : 0};
        if (width >= 4) {
            lanes.mask.bits[1] = ~0ULL;  // not looked at
        }
        core->require(mask[0] != 0 || mask[1] != 0, "mask", "the mask must have a bit that is set",
                      instruction.site);
    }
    return lanes;
}

/// One operand of an instruction with repeats. Strides are in blocks of 32 bytes.
struct Operand {
    std::uint32_t block_stride;
    std::uint32_t repeat_stride;
};

constexpr std::uint32_t block_bytes = 32;

template <class T>
T* element_at(const LocalTensor<T>& tensor, Operand operand, std::uint32_t repeat,
              std::uint32_t lane) {
    constexpr std::uint32_t per_block = block_bytes / sizeof(T);
    const std::uint32_t offset =
        (repeat * operand.repeat_stride + lane / per_block * operand.block_stride) * block_bytes +
        lane % per_block * static_cast<std::uint32_t>(sizeof(T));
    return reinterpret_cast<T*>(reinterpret_cast<std::uint8_t*>(tensor.data()) + offset);
}

/// Whether the operand's bytes follow one another without a gap.
template <class T>
bool is_contiguous(Operand operand, const Lanes& lanes) {
    constexpr std::uint32_t per_block = block_bytes / sizeof(T);
    return (operand.block_stride == 1 || lanes.per_repeat <= per_block) &&
           operand.repeat_stride * per_block == lanes.per_repeat;
}

template <class T>
void require_vector_operand(const Instruction& instruction, const LocalTensor<T>& tensor) {
    if (space_of(tensor.position()) != Space::ub) {
        core->report("position",
                     std::string(instruction.name) +
                         ": the vector unit reads and writes UB only; the tensor's TPosition is " +
                         std::to_string(tensor.GetPosition()),
                     instruction.site);
    }
    tensor.require_aligned(instruction, block_bytes);
}

/// Report a result that lies in the same bytes of UB as something that the function reads.
template <class To, class From>
void require_apart(const Instruction& instruction, const LocalTensor<To>& to,
                   std::uint32_t to_count, const LocalTensor<From>& from,
                   std::uint32_t from_count) {
    const std::uint64_t to_end = to.address() + std::uint64_t{to_count} * sizeof(To);
    const std::uint64_t from_end = from.address() + std::uint64_t{from_count} * sizeof(From);
    if (to.address() < from_end && from.address() < to_end) {
        core->report("overlap",
                     std::string(instruction.name) +
                         ": the results must not lie in the bytes of the sources",
                     instruction.site);
    }
}

/// Note the blocks of an operand in which a lane is on.
template <class T>
void use_operand(const Instruction& instruction, const LocalTensor<T>& tensor, Operand operand,
                 const Lanes& lanes, bool writes) {
    require_vector_operand(instruction, tensor);
    if (lanes.all_on() && is_contiguous<T>(operand, lanes)) {
        tensor.use(instruction, 0, std::uint64_t{lanes.repeats} * lanes.per_repeat * sizeof(T),
                   writes);
        return;
    }
    constexpr std::uint32_t per_block = block_bytes / sizeof(T);
    for (std::uint32_t repeat = 0; repeat < lanes.repeats; ++repeat) {
        for (std::uint32_t first = 0; first < lanes.per_repeat; first += per_block) {
            const std::uint32_t end = std::min(first + per_block, lanes.per_repeat);
            bool on = false;
            for (std::uint32_t lane = first; lane < end && !on; ++lane) {
                on = lanes.is_on(repeat, lane);
            }
            if (on) {
                const std::uint32_t block =
                    repeat * operand.repeat_stride + first / per_block * operand.block_stride;
                tensor.use(instruction, std::uint64_t{block} * block_bytes, block_bytes, writes);
            }
        }
    }
}

/// Hint at operands in the same bank of UB.
template <class To, class... From>
void hint_banks(const Instruction& instruction, const LocalTensor<To>& to,
                std::uint32_t block_stride, const LocalTensor<From>&... from) {
    const std::uint32_t sources[] = {core->address_of(from.data())..., 0};
    core->hint_banks(instruction, core->address_of(to.data()), block_stride, sources,
                     static_cast<int>(sizeof...(From)));
}

/// Compute `to[i] = body(to[i], from[i]...)` for the lanes that are on, a repeat at a time: what a
/// repeat writes is not seen by itself.
template <class To, class Body, class... From>
void compute(const Lanes& lanes, const LocalTensor<To>& to, Operand to_operand, Body body,
             std::pair<const LocalTensor<From>&, Operand>... from) {
    if (lanes.all_on() && is_contiguous<To>(to_operand, lanes) &&
        (is_contiguous<From>(from.second, lanes) && ...)) {
        const std::uint32_t count = lanes.repeats * lanes.per_repeat;
        To* const target = to.data();
        [&](const From*... source) {
            for (std::uint32_t index = 0; index < count; ++index) {
                target[index] = body(target[index], source[index]...);
            }
        }(from.first.data()...);
        return;
    }
    To results[256];
    for (std::uint32_t repeat = 0; repeat < lanes.repeats; ++repeat) {
        for (std::uint32_t lane = 0; lane < lanes.per_repeat; ++lane) {
            if (lanes.is_on(repeat, lane)) {
                results[lane] = body(*element_at(to, to_operand, repeat, lane),
                                     *element_at(from.first, from.second, repeat, lane)...);
            }
        }
        for (std::uint32_t lane = 0; lane < lanes.per_repeat; ++lane) {
            if (lanes.is_on(repeat, lane)) {
                *element_at(to, to_operand, repeat, lane) = results[lane];
            }
        }
    }
}

/// The form with repeats: check all operands, then compute. `reads_to` is for `to = to + ...`.
template <class To, class Body, class... From>
void with_repeats(const Instruction& instruction, const Lanes& lanes, bool reads_to,
                  const LocalTensor<To>& to, Operand to_operand, Body body,
                  std::pair<const LocalTensor<From>&, Operand>... from) {
    (use_operand(instruction, from.first, from.second, lanes, false), ...);
    if (reads_to) {
        use_operand(instruction, to, to_operand, lanes, false);
    }
    use_operand(instruction, to, to_operand, lanes, true);
    if (core->hints) {
        hint_banks(instruction, to, to_operand.block_stride, from.first...);
    }
    compute(lanes, to, to_operand, body, from...);
}

/// The form with a count of consecutive elements.
template <class To, class Body, class... From>
void with_count(const Instruction& instruction, std::int64_t count, bool reads_to,
                const LocalTensor<To>& to, Body body, const LocalTensor<From>&... from) {
    if (count < 0) {
        core->end("count",
                  std::string(instruction.name) + ": the count must not be negative, got " +
                      std::to_string(count),
                  instruction.site);
    }
    (require_vector_operand(instruction, from), ...);
    require_vector_operand(instruction, to);
    const auto elements = static_cast<std::uint64_t>(count);
    (from.use(instruction, 0, elements * sizeof(From), false), ...);
    if (reads_to) {
        to.use(instruction, 0, elements * sizeof(To), false);
    }
    to.use(instruction, 0, elements * sizeof(To), true);
    if (core->hints && elements * sizeof(To) >= 2 * 256) {  // more than one repeat
        hint_banks(instruction, to, 1, from...);
    }
    To* const target = to.data();
    [&](const From*... source) {
        for (std::uint64_t index = 0; index < elements; ++index) {
            target[index] = body(target[index], source[index]...);
        }
    }(from.data()...);
}

template <class T>
std::pair<const LocalTensor<T>&, Operand> operand(const LocalTensor<T>& tensor,
                                                  std::uint32_t block_stride,
                                                  std::uint32_t repeat_stride) {
    return {tensor, Operand{block_stride, repeat_stride}};
}

template <class T, class... Types>
constexpr bool is_one_of = (std::is_same_v<T, Types> || ...);

}  // namespace aicore
