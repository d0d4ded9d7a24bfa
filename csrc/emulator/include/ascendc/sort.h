// Sorting: pairs of a value and its index, 8 bytes each, in descending order of the values.
#pragma once

#include "ascendc/vector_engine.h"

namespace AscendC {

template <class T>
struct MrgSortSrcList {
    MrgSortSrcList(const LocalTensor<T>& first, const LocalTensor<T>& second,
                   const LocalTensor<T>& third, const LocalTensor<T>& fourth)
        : src1(first), src2(second), src3(third), src4(fourth) {}
    MrgSortSrcList() = default;
    LocalTensor<T> src1;
    LocalTensor<T> src2;
    LocalTensor<T> src3;
    LocalTensor<T> src4;
};

struct MrgSort4Info {
    MrgSort4Info() = default;
    MrgSort4Info(const std::uint16_t lengths[4], bool suspends, std::uint16_t valid,
                 std::uint16_t repeats)
        : ifExhaustedSuspension(suspends), validBit(valid), repeatTimes(repeats) {
        std::copy_n(lengths, 4, elementLengths);
    }
    std::uint16_t elementLengths[4] = {};
    bool ifExhaustedSuspension = false;
    std::uint16_t validBit = 0;
    std::uint16_t repeatTimes = 1;
};

}  // namespace AscendC

namespace aicore {

/// Bytes of a value and its index; a half is followed by two bytes that mean nothing.
constexpr std::uint32_t ranked_bytes = 8;

template <class T>
T ranked_value(const std::uint8_t* pair) {
    T value{};
    std::memcpy(&value, pair, sizeof value);
    return value;
}

/// A sorted list of pairs, and how many of them are left.
struct MergeList {
    const std::uint8_t* next;
    std::uint32_t left;

    const std::uint8_t* take() {
        const std::uint8_t* const taken = next;
        next += ranked_bytes;
        --left;
        return taken;
    }
};

/// The list whose next value is the largest, or -1 if the merge is at its end. With `suspends` it
/// ends with the first list that is empty.
template <class T>
int next_list(const MergeList (&lists)[4], bool suspends) {
    int best = -1;
    for (int list = 0; list < 4; ++list) {
        if (lists[list].next == nullptr) {
            continue;
        }
        if (lists[list].left == 0) {
            if (suspends) {
                return -1;
            }
            continue;
        }
        if (best < 0 ||
            widen(ranked_value<T>(lists[list].next)) > widen(ranked_value<T>(lists[best].next))) {
            best = list;
        }
    }
    return best;
}

}  // namespace aicore

namespace AscendC {

/// Sort 32 elements a repeat; each gives a pair of 8 bytes.
template <class T>
void Sort32(const LocalTensor<T>& dst, const LocalTensor<T>& src0,
            const LocalTensor<std::uint32_t>& src1, std::int32_t repeatTime,
            aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Sort32", aicore::Pipe::v, site};
    src0.use(instruction, 0, std::uint64_t(repeatTime) * 32 * sizeof(T), false);
    src1.use(instruction, 0, std::uint64_t(repeatTime) * 32 * 4, false);
    dst.use(instruction, 0, std::uint64_t(repeatTime) * 32 * aicore::ranked_bytes, true);
    for (std::int32_t repeat = 0; repeat < repeatTime; ++repeat) {
        int order[32];
        for (int index = 0; index < 32; ++index) {
            order[index] = index;
        }
        const T* const values = src0.data() + repeat * 32;
        std::stable_sort(order, order + 32, [values](int first, int second) {
            return aicore::widen(values[first]) > aicore::widen(values[second]);
        });
        auto* to = reinterpret_cast<std::uint8_t*>(dst.data()) +
                   std::uint64_t(repeat) * 32 * aicore::ranked_bytes;
        for (const int index : order) {
            std::memset(to, 0, aicore::ranked_bytes);
            std::memcpy(to, values + index, sizeof(T));
            std::memcpy(to + 4, src1.data() + repeat * 32 + index, 4);
            to += aicore::ranked_bytes;
        }
    }
}

/// Merge up to four sorted lists of pairs; with several repeats, the lists of a repeat follow those
/// of the repeat before.
template <class T>
void MrgSort(const LocalTensor<T>& dst, const MrgSortSrcList<T>& sources, const MrgSort4Info& info,
             aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"MrgSort", aicore::Pipe::v, site};
    aicore::core->require(
        info.validBit == 3 || info.validBit == 7 || info.validBit == 15, "range",
        "MrgSort: validBit must be 3, 7 or 15, the lists that are merged from the first on", site);
    const LocalTensor<T>* const lists[4] = {&sources.src1, &sources.src2, &sources.src3,
                                            &sources.src4};
    std::uint64_t per_repeat = 0;
    for (const std::uint16_t length : info.elementLengths) {
        per_repeat += length;
    }
    std::uint64_t written = 0;
    for (std::uint32_t repeat = 0; repeat < info.repeatTimes; ++repeat) {
        aicore::MergeList merged[4] = {};
        for (int list = 0; list < 4; ++list) {
            if ((info.validBit >> list & 1) == 0) {
                continue;
            }
            const std::uint64_t offset = repeat * per_repeat * aicore::ranked_bytes;
            const std::uint32_t length = info.elementLengths[list];
            lists[list]->use(instruction, offset, length * aicore::ranked_bytes, false);
            merged[list] = {reinterpret_cast<const std::uint8_t*>(lists[list]->data()) + offset,
                            length};
        }
        for (int best = aicore::next_list<T>(merged, info.ifExhaustedSuspension); best >= 0;
             best = aicore::next_list<T>(merged, info.ifExhaustedSuspension)) {
            dst.use(instruction, written, aicore::ranked_bytes, true);
            std::memcpy(reinterpret_cast<std::uint8_t*>(dst.data()) + written, merged[best].take(),
                        aicore::ranked_bytes);
            written += aicore::ranked_bytes;
        }
        for (int list = 0; list < 4; ++list) {
            const bool takes_part = (info.validBit >> list & 1) != 0;
            aicore::core->merged[list] = static_cast<std::uint16_t>(
                takes_part ? info.elementLengths[list] - merged[list].left : 0);
        }
    }
}

/// How many pairs of each list the MrgSort before has merged.
inline void GetMrgSortResult(std::uint16_t& mrgSortList1, std::uint16_t& mrgSortList2,
                             std::uint16_t& mrgSortList3, std::uint16_t& mrgSortList4) {
    const auto& merged = aicore::core->merged;
    mrgSortList1 = merged[0];
    mrgSortList2 = merged[1];
    mrgSortList3 = merged[2];
    mrgSortList4 = merged[3];
}

/// The form of the library: `sortedNum` gets how many pairs of each list were merged, if the merge
/// ends with the first list that is empty.
template <class T, bool isExhaustedSuspension = false>
void MrgSort(const LocalTensor<T>& dst, const MrgSortSrcList<T>& sortList,
             const std::uint16_t elementCountList[4], std::uint32_t sortedNum[4],
             std::uint16_t validBit, std::int32_t repeatTime,
             aicore::Site site = aicore::Site::here()) {
    MrgSort(dst, sortList,
            MrgSort4Info(elementCountList, isExhaustedSuspension, validBit,
                         static_cast<std::uint16_t>(repeatTime)),
            site);
    if constexpr (isExhaustedSuspension) {
        std::copy_n(aicore::core->merged.begin(), 4, sortedNum);
    }
}

/// The values and the indices of sorted pairs.
template <class T>
void Extract(const LocalTensor<T>& dstValue, const LocalTensor<std::uint32_t>& dstIndex,
             const LocalTensor<T>& sorted, std::int32_t repeatTime,
             aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Extract", aicore::Pipe::v, site};
    const std::uint64_t count = std::uint64_t(repeatTime) * 32;
    sorted.use(instruction, 0, count * aicore::ranked_bytes, false);
    dstValue.use(instruction, 0, count * sizeof(T), true);
    dstIndex.use(instruction, 0, count * 4, true);
    const auto* from = reinterpret_cast<const std::uint8_t*>(sorted.data());
    for (std::uint64_t index = 0; index < count; ++index, from += aicore::ranked_bytes) {
        std::memcpy(dstValue.data() + index, from, sizeof(T));
        std::memcpy(dstIndex.data() + index, from + 4, 4);
    }
}

/// On dav-2201 values and indices stay apart until Sort32, so this is a view of the values.
template <class T>
void Concat(LocalTensor<T>& concat, const LocalTensor<T>& src, const LocalTensor<T>& /*tmp*/,
            std::int32_t /*repeatTime*/) {
    concat = src;
}

/// Sort blocks of 32, or with isFullSort all elements.
template <class T, bool isFullSort>
void Sort(const LocalTensor<T>& dst, const LocalTensor<T>& concat,
          const LocalTensor<std::uint32_t>& index, LocalTensor<T>& /*tmp*/, std::int32_t repeatTime,
          aicore::Site site = aicore::Site::here()) {
    Sort32(dst, concat, index, repeatTime, site);
    if constexpr (isFullSort) {
        struct Pair {
            std::uint8_t bytes[aicore::ranked_bytes];
        };
        auto* const pairs = reinterpret_cast<Pair*>(dst.data());
        std::stable_sort(pairs, pairs + std::uint64_t(repeatTime) * 32,
                         [](const Pair& first, const Pair& second) {
                             return aicore::widen(aicore::ranked_value<T>(first.bytes)) >
                                    aicore::widen(aicore::ranked_value<T>(second.bytes));
                         });
    }
}

/// How many elements of T a number of pairs takes.
template <class T>
std::uint32_t GetSortLen(std::uint32_t elements) {
    return elements * aicore::ranked_bytes / sizeof(T);
}
template <class T>
std::uint32_t GetSortOffset(std::uint32_t elements) {
    return GetSortLen<T>(elements);
}

}  // namespace AscendC
