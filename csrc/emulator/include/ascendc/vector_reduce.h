// Reductions: over blocks of 32 bytes, over repeats, and over a whole tensor.
#pragma once

#include <vector>

#include "ascendc/vector_engine.h"

namespace aicore {

using AscendC::ReduceOrder;

struct Adding {
    template <class T>
    T operator()(T first, T second) const {
        return first + second;
    }
};
struct Larger {
    template <class T>
    T operator()(T first, T second) const {
        return second > first ? second : first;
    }
};
struct Smaller {
    template <class T>
    T operator()(T first, T second) const {
        return second < first ? second : first;
    }
};

/// A sum by halves, as the device adds neighbours first.
template <class T, class Combine>
Computed<T> combined(const Computed<T>* values, std::uint32_t count, Combine combine) {
    if (count == 1) {
        return values[0];
    }
    const std::uint32_t half_count = (count + 1) / 2;
    return combine(combined<T>(values, half_count, combine),
                   combined<T>(values + half_count, count - half_count, combine));
}

/// Reduce groups of `group` lanes; each gives one element of the destination. In the destination,
/// repeats begin `repeat_bytes` apart.
template <class T, class Combine>
void reduce_groups(const Instruction& instruction, const LocalTensor<T>& to,
                   const LocalTensor<T>& from, const Lanes& lanes, Operand from_operand,
                   std::uint64_t repeat_bytes, std::uint32_t group, Combine combine) {
    use_operand(instruction, from, from_operand, lanes, false);
    const std::uint32_t groups = lanes.per_repeat / group;
    for (std::uint32_t repeat = 0; repeat < lanes.repeats; ++repeat) {
        T results[128];
        for (std::uint32_t index = 0; index < groups; ++index) {
            Computed<T> values[128];
            std::uint32_t count = 0;
            for (std::uint32_t lane = index * group; lane < (index + 1) * group; ++lane) {
                if (lanes.is_on(repeat, lane)) {
                    values[count++] = widen(*element_at(from, from_operand, repeat, lane));
                }
            }
            results[index] =
                count == 0 ? T(0) : static_cast<T>(combined<T>(values, count, combine));
        }
        const std::uint64_t offset = repeat * repeat_bytes;
        to.use(instruction, offset, groups * sizeof(T), true);
        std::memcpy(reinterpret_cast<std::uint8_t*>(to.data()) + offset, results,
                    groups * sizeof(T));
    }
}

/// The largest or smallest lane of each repeat, with its index.
template <class T, class Better>
void find_in_repeats(const Instruction& instruction, const LocalTensor<T>& to,
                     const LocalTensor<T>& from, const Lanes& lanes, Operand from_operand,
                     std::uint32_t repeat_stride, ReduceOrder order, Better better) {
    use_operand(instruction, from, from_operand, lanes, false);
    using Index = std::conditional_t<sizeof(T) == 2, std::uint16_t, std::uint32_t>;
    for (std::uint32_t repeat = 0; repeat < lanes.repeats; ++repeat) {
        T best{};
        Index at = 0;
        bool found = false;
        for (std::uint32_t lane = 0; lane < lanes.per_repeat; ++lane) {
            if (!lanes.is_on(repeat, lane)) {
                continue;
            }
            const T value = *element_at(from, from_operand, repeat, lane);
            if (!found || better(widen(value), widen(best))) {
                best = value;
                at = static_cast<Index>(lane);
                found = true;
            }
        }
        T index{};
        std::memcpy(&index, &at, sizeof index);
        const T pair[2] = {
            order == ReduceOrder::ORDER_INDEX_VALUE || order == ReduceOrder::ORDER_ONLY_INDEX
                ? index
                : best,
            order == ReduceOrder::ORDER_INDEX_VALUE ? best : index};
        const bool both =
            order == ReduceOrder::ORDER_VALUE_INDEX || order == ReduceOrder::ORDER_INDEX_VALUE;
        const std::uint64_t bytes = (both ? 2 : 1) * sizeof(T);
        const std::uint64_t offset = repeat * repeat_stride * bytes;
        to.use(instruction, offset, bytes, true);
        std::memcpy(reinterpret_cast<std::uint8_t*>(to.data()) + offset, pair, bytes);
    }
}

/// The first of the largest or smallest elements, and its index if it is wanted.
template <class T, class Better>
void find_in_tensor(const Instruction& instruction, const LocalTensor<T>& to,
                    const LocalTensor<T>& from, const LocalTensor<T>& work, std::int64_t count,
                    bool wants_index, Better better) {
    from.use(instruction, 0, count * sizeof(T), false);
    work.use(instruction, 0, sizeof(T), true);
    const T* const values = from.data();
    using Index = std::conditional_t<sizeof(T) == 2, std::uint16_t, std::uint32_t>;
    Index at = 0;
    for (std::int64_t index = 1; index < count; ++index) {
        if (better(widen(values[index]), widen(values[at]))) {
            at = static_cast<Index>(index);
        }
    }
    const T best = values[at];
    to.use(instruction, 0, (wants_index ? 2 : 1) * sizeof(T), true);
    to.data()[0] = best;
    if (wants_index) {
        std::memcpy(to.data() + 1, &at, sizeof(T));
    }
}

struct IsLarger {
    template <class T>
    bool operator()(T first, T second) const {
        return first > second;
    }
};
struct IsSmaller {
    template <class T>
    bool operator()(T first, T second) const {
        return first < second;
    }
};

}  // namespace aicore

namespace AscendC {

// Blocks of 32 bytes: the destination gets 8 elements a repeat.
#define AICORE_BLOCK_REDUCE(NAME, COMBINE)                                                   \
    template <class T, bool isSetMask = true, class Mask>                                    \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, std::int32_t repeatTime, \
              Mask mask, std::int32_t dstRepStride, std::int32_t srcBlkStride,               \
              std::int32_t srcRepStride, aicore::Site site = aicore::Site::here()) {         \
        const aicore::Instruction instruction{#NAME, aicore::Pipe::v, site};                 \
        aicore::reduce_groups(                                                               \
            instruction, dst, src,                                                           \
            aicore::lanes_of(instruction, isSetMask, mask, sizeof(T), repeatTime),           \
            {std::uint32_t(srcBlkStride), std::uint32_t(srcRepStride)},                      \
            std::uint64_t(dstRepStride) * 8 * sizeof(T), 32 / sizeof(T), aicore::COMBINE{}); \
    }

AICORE_BLOCK_REDUCE(BlockReduceSum, Adding)
AICORE_BLOCK_REDUCE(BlockReduceMax, Larger)
AICORE_BLOCK_REDUCE(BlockReduceMin, Smaller)

template <class T, bool isSetMask = true, class Mask>
void PairReduceSum(const LocalTensor<T>& dst, const LocalTensor<T>& src, std::int32_t repeatTime,
                   Mask mask, std::int32_t dstRepStride, std::int32_t srcBlkStride,
                   std::int32_t srcRepStride, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"PairReduceSum", aicore::Pipe::v, site};
    aicore::reduce_groups(instruction, dst, src,
                          aicore::lanes_of(instruction, isSetMask, mask, sizeof(T), repeatTime),
                          {std::uint32_t(srcBlkStride), std::uint32_t(srcRepStride)},
                          std::uint64_t(dstRepStride) * 128, 2, aicore::Adding{});
}

template <class T, bool isSetMask = true, class Mask>
void WholeReduceSum(const LocalTensor<T>& dst, const LocalTensor<T>& src, Mask mask,
                    std::int32_t repeatTime, std::int32_t dstRepStride, std::int32_t srcBlkStride,
                    std::int32_t srcRepStride, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"WholeReduceSum", aicore::Pipe::v, site};
    aicore::reduce_groups(instruction, dst, src,
                          aicore::lanes_of(instruction, isSetMask, mask, sizeof(T), repeatTime),
                          {std::uint32_t(srcBlkStride), std::uint32_t(srcRepStride)},
                          std::uint64_t(dstRepStride) * sizeof(T), 256 / sizeof(T),
                          aicore::Adding{});
}
template <class T, bool isSetMask = true, class Mask>
void RepeatReduceSum(const LocalTensor<T>& dst, const LocalTensor<T>& src, std::int32_t repeatTime,
                     Mask mask, std::int32_t /*dstBlkStride*/, std::int32_t srcBlkStride,
                     std::int32_t dstRepStride, std::int32_t srcRepStride,
                     aicore::Site site = aicore::Site::here()) {
    WholeReduceSum<T, isSetMask>(dst, src, mask, repeatTime, dstRepStride, srcBlkStride,
                                 srcRepStride, site);
}

#define AICORE_WHOLE_REDUCE(NAME, BETTER)                                                    \
    template <class T, bool isSetMask = true, class Mask>                                    \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, Mask mask,               \
              std::int32_t repeatTime, std::int32_t dstRepStride, std::int32_t srcBlkStride, \
              std::int32_t srcRepStride, ReduceOrder order = ReduceOrder::ORDER_VALUE_INDEX, \
              aicore::Site site = aicore::Site::here()) {                                    \
        const aicore::Instruction instruction{#NAME, aicore::Pipe::v, site};                 \
        aicore::find_in_repeats(                                                             \
            instruction, dst, src,                                                           \
            aicore::lanes_of(instruction, isSetMask, mask, sizeof(T), repeatTime),           \
            {std::uint32_t(srcBlkStride), std::uint32_t(srcRepStride)},                      \
            std::uint32_t(dstRepStride), order, aicore::BETTER{});                           \
    }

AICORE_WHOLE_REDUCE(WholeReduceMax, IsLarger)
AICORE_WHOLE_REDUCE(WholeReduceMin, IsSmaller)

template <class T, bool isSetMask = true>
void ReduceSum(const LocalTensor<T>& dst, const LocalTensor<T>& src,
               const LocalTensor<T>& sharedTmpBuffer, std::int32_t count,
               aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"ReduceSum", aicore::Pipe::v, site};
    aicore::require_vector_operand(instruction, src);
    if (count < 1) {
        aicore::core->end("count", "ReduceSum: the count must be positive", site);
    }
    src.use(instruction, 0, count * sizeof(T), false);
    sharedTmpBuffer.use(instruction, 0, sizeof(T), true);
    dst.use(instruction, 0, sizeof(T), true);
    // Repeats first, each rounded to T, then their results, as the device does.
    constexpr std::int32_t per_repeat = 256 / sizeof(T);
    aicore::Computed<T> total = 0;
    for (std::int32_t first = 0; first < count; first += per_repeat) {
        aicore::Computed<T> values[per_repeat];
        const std::int32_t taken = std::min(per_repeat, count - first);
        for (std::int32_t index = 0; index < taken; ++index) {
            values[index] = aicore::widen(src.data()[first + index]);
        }
        total += aicore::widen(static_cast<T>(
            aicore::combined<T>(values, static_cast<std::uint32_t>(taken), aicore::Adding{})));
    }
    dst.data()[0] = static_cast<T>(total);
    aicore::core->reduced = 0;
    std::memcpy(&aicore::core->reduced, dst.data(), sizeof(T));
}
/// The result of the ReduceSum before.
template <class T>
T GetReduceRepeatSumSpr() {
    T sum{};
    std::memcpy(&sum, &aicore::core->reduced, sizeof sum);
    return sum;
}
/// Its older name, which without a type returns the bits.
template <class T = std::uint64_t>
T GetAccVal() {
    return GetReduceRepeatSumSpr<T>();
}

#define AICORE_REDUCE(NAME, BETTER)                                                             \
    template <class T>                                                                          \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src,                             \
              const LocalTensor<T>& sharedTmpBuffer, std::int32_t count, bool calIndex = false, \
              aicore::Site site = aicore::Site::here()) {                                       \
        const aicore::Instruction instruction{#NAME, aicore::Pipe::v, site};                    \
        aicore::require_vector_operand(instruction, src);                                       \
        if (count < 1) {                                                                        \
            aicore::core->end("count", #NAME ": the count must be positive", site);             \
        }                                                                                       \
        aicore::find_in_tensor(instruction, dst, src, sharedTmpBuffer, count, calIndex,         \
                               aicore::BETTER{});                                               \
    }

AICORE_REDUCE(ReduceMax, IsLarger)
AICORE_REDUCE(ReduceMin, IsSmaller)

}  // namespace AscendC

namespace aicore {

/// The lanes of all repeats one after another, for the reductions of a tensor with a mask.
template <class T>
struct Gathered {
    std::vector<Computed<T>> values;
    std::vector<std::uint32_t> places;  // among all lanes
};
template <class T>
Gathered<T> gathered(const Instruction& instruction, const LocalTensor<T>& from, const Lanes& lanes,
                     std::uint32_t repeat_stride) {
    const Operand strides{1, repeat_stride};
    use_operand(instruction, from, strides, lanes, false);
    Gathered<T> found;
    for (std::uint32_t repeat = 0; repeat < lanes.repeats; ++repeat) {
        for (std::uint32_t lane = 0; lane < lanes.per_repeat; ++lane) {
            if (lanes.is_on(repeat, lane)) {
                found.values.push_back(widen(*element_at(from, strides, repeat, lane)));
                found.places.push_back(repeat * lanes.per_repeat + lane);
            }
        }
    }
    return found;
}

template <class T, class Better>
void find_with_mask(const Instruction& instruction, const LocalTensor<T>& to,
                    const LocalTensor<T>& work, const Gathered<T>& found, bool wants_index,
                    Better better) {
    if (found.values.empty()) {
        core->end("mask", std::string(instruction.name) + ": no lane is on", instruction.site);
    }
    std::size_t best = 0;
    for (std::size_t index = 1; index < found.values.size(); ++index) {
        best = better(found.values[index], found.values[best]) ? index : best;
    }
    work.use(instruction, 0, sizeof(T), true);
    to.use(instruction, 0, (wants_index ? 2 : 1) * sizeof(T), true);
    to.data()[0] = static_cast<T>(found.values[best]);
    if (wants_index) {
        std::memcpy(to.data() + 1, &found.places[best], sizeof(T));
    }
}

}  // namespace aicore

namespace AscendC {

template <class T, bool isSetMask = true, class Mask>
void ReduceSum(const LocalTensor<T>& dst, const LocalTensor<T>& src,
               const LocalTensor<T>& sharedTmpBuffer, Mask mask, std::int32_t repeatTime,
               std::int32_t srcRepStride, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"ReduceSum", aicore::Pipe::v, site};
    const aicore::Gathered<T> found = aicore::gathered(
        instruction, src, aicore::lanes_of(instruction, true, mask, sizeof(T), repeatTime),
        static_cast<std::uint32_t>(srcRepStride));
    sharedTmpBuffer.use(instruction, 0, sizeof(T), true);
    dst.use(instruction, 0, sizeof(T), true);
    dst.data()[0] = static_cast<T>(aicore::combined<T>(
        found.values.data(), static_cast<std::uint32_t>(found.values.size()), aicore::Adding{}));
}

#define AICORE_REDUCE_MASKED(NAME, BETTER)                                                     \
    template <class T, class Mask>                                                             \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src,                            \
              const LocalTensor<T>& sharedTmpBuffer, Mask mask, std::int32_t repeatTime,       \
              std::int32_t srcRepStride, bool calIndex = false,                                \
              aicore::Site site = aicore::Site::here()) {                                      \
        const aicore::Instruction instruction{#NAME, aicore::Pipe::v, site};                   \
        aicore::find_with_mask(                                                                \
            instruction, dst, sharedTmpBuffer,                                                 \
            aicore::gathered(instruction, src,                                                 \
                             aicore::lanes_of(instruction, true, mask, sizeof(T), repeatTime), \
                             static_cast<std::uint32_t>(srcRepStride)),                        \
            calIndex, aicore::BETTER{});                                                       \
    }

AICORE_REDUCE_MASKED(ReduceMax, IsLarger)
AICORE_REDUCE_MASKED(ReduceMin, IsSmaller)

// The names that CANN 9 gives to WholeReduce, BlockReduce and PairReduce.
enum class ReduceType : std::uint8_t { SUM, MAX, MIN };

template <ReduceType reduceType, class T, class U, bool isSetMask = true, class Mask>
void ReduceRepeat(const LocalTensor<T>& dst, const LocalTensor<U>& src, Mask mask,
                  std::int32_t repeatTime, std::int32_t dstRepStride, std::int32_t srcBlkStride,
                  std::int32_t srcRepStride, ReduceOrder order = ReduceOrder::ORDER_VALUE_INDEX,
                  aicore::Site site = aicore::Site::here()) {
    if constexpr (reduceType == ReduceType::SUM) {
        WholeReduceSum<T, isSetMask>(dst, src, mask, repeatTime, dstRepStride, srcBlkStride,
                                     srcRepStride, site);
    } else if constexpr (reduceType == ReduceType::MAX) {
        WholeReduceMax<T, isSetMask>(dst, src, mask, repeatTime, dstRepStride, srcBlkStride,
                                     srcRepStride, order, site);
    } else {
        WholeReduceMin<T, isSetMask>(dst, src, mask, repeatTime, dstRepStride, srcBlkStride,
                                     srcRepStride, order, site);
    }
}
template <ReduceType reduceType, class T, class U, bool isSetMask = true, class Mask>
void ReduceDataBlock(const LocalTensor<T>& dst, const LocalTensor<U>& src, Mask mask,
                     std::int32_t repeatTime, std::int32_t dstRepStride, std::int32_t srcBlkStride,
                     std::int32_t srcRepStride, aicore::Site site = aicore::Site::here()) {
    if constexpr (reduceType == ReduceType::SUM) {
        BlockReduceSum<T, isSetMask>(dst, src, repeatTime, mask, dstRepStride, srcBlkStride,
                                     srcRepStride, site);
    } else if constexpr (reduceType == ReduceType::MAX) {
        BlockReduceMax<T, isSetMask>(dst, src, repeatTime, mask, dstRepStride, srcBlkStride,
                                     srcRepStride, site);
    } else {
        BlockReduceMin<T, isSetMask>(dst, src, repeatTime, mask, dstRepStride, srcBlkStride,
                                     srcRepStride, site);
    }
}
template <ReduceType reduceType, class T, class U, bool isSetMask = true, class Mask>
void ReducePairElem(const LocalTensor<T>& dst, const LocalTensor<U>& src, Mask mask,
                    std::int32_t repeatTime, std::int32_t dstRepStride, std::int32_t srcBlkStride,
                    std::int32_t srcRepStride, aicore::Site site = aicore::Site::here()) {
    static_assert(reduceType == ReduceType::SUM, "ReducePairElem only sums on dav-2201");
    PairReduceSum<T, isSetMask>(dst, src, repeatTime, mask, dstRepStride, srcBlkStride,
                                srcRepStride, site);
}

}  // namespace AscendC
