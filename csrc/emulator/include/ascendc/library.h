// Library functions on whole tensors: gated activations, Arange, DropOut, Select by bytes,
// Broadcast, TopK and Fill.
#pragma once

#include <numeric>

#include "ascendc/functions.h"
#include "ascendc/functions_of_numbers.h"
#include "ascendc/move.h"
#include "ascendc/vector_compare.h"
#include "ascendc/vector_data.h"
#include "kernel_tiling/kernel_tiling.h"

AICORE_FUNCTION_OF_TWO(GeGLU, x* aicore::gelu(static_cast<float>(y)))
AICORE_FUNCTION_OF_TWO(ReGlu, x*(y > 0 ? y : decltype(y)(0)))

namespace AscendC {

template <class T, bool isReuseSource = false>
void SwiGLU(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,
            const float& beta, aicore::Site site = aicore::Site::here()) {
    SwiGLU<T>(dst, src0, src1, beta, src0.GetSize(), site);
}
template <class T, bool isReuseSource = false>
void SwiGLU(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,
            const float& beta, const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
            aicore::Site site = aicore::Site::here()) {
    SwiGLU<T>(dst, src0, src1, beta, src0.GetSize(), site);
}
template <class T, bool isReuseSource = false>
void SwiGLU(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,
            const float& beta, const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
            std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    SwiGLU<T>(dst, src0, src1, beta, count, site);
}

template <class T>
void Arange(const LocalTensor<T>& dst, aicore::Given<T> firstValue, aicore::Given<T> diffValue,
            std::int32_t count, aicore::Site site = aicore::Site::here()) {
    ArithProgression<T>(dst, firstValue, diffValue, count, site);
}

template <class T, class U, bool isReuseSource = false>
void Axpy(const LocalTensor<T>& dst, const LocalTensor<U>& src, const aicore::Given<U>& scalar,
          const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, std::uint32_t count,
          aicore::Site site = aicore::Site::here()) {
    Axpy<T, U>(dst, src, scalar, static_cast<std::int32_t>(count), site);
}

struct DropOutShapeInfo {
    std::uint32_t firstAxis = 0;
    std::uint32_t srcLastAxis = 0;
    std::uint32_t maskLastAxis = 0;
};

/// `src / keepProb` where the mask is set, else 0. The mask has bytes, or bits with isInitBitMode.
template <class T, bool isInitBitMode = false, std::uint32_t dropOutMode = 0>
void DropOut(const LocalTensor<T>& dst, const LocalTensor<T>& src,
             const LocalTensor<std::uint8_t>& mask,
             const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, float keepProb,
             const DropOutShapeInfo& info, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"DropOut", aicore::Pipe::v, site};
    const bool bits = isInitBitMode || dropOutMode == 3 || dropOutMode == 4;
    const std::uint32_t count = info.firstAxis * info.srcLastAxis;
    const std::uint32_t mask_bytes = info.firstAxis * info.maskLastAxis;
    src.use(instruction, 0, count * sizeof(T), false);
    mask.use(instruction, 0, mask_bytes, false);
    dst.use(instruction, 0, count * sizeof(T), true);
    for (std::uint32_t row = 0; row < info.firstAxis; ++row) {
        for (std::uint32_t column = 0; column < info.srcLastAxis; ++column) {
            const std::uint8_t* const of_row = mask.data() + row * info.maskLastAxis;
            const bool keeps = bits ? aicore::bit_of(of_row, column) : of_row[column] != 0;
            const std::uint32_t at = row * info.srcLastAxis + column;
            const float value = static_cast<float>(src.data()[at]) / keepProb;
            dst.data()[at] = keeps ? static_cast<T>(value) : T(0);
        }
    }
}
template <class T, bool isInitBitMode = false, std::uint32_t dropOutMode = 0>
void DropOut(const LocalTensor<T>& dst, const LocalTensor<T>& src,
             const LocalTensor<std::uint8_t>& mask, float keepProb, const DropOutShapeInfo& info,
             aicore::Site site = aicore::Site::here()) {
    DropOut<T, isInitBitMode, dropOutMode>(dst, src, mask, mask, keepProb, info, site);
}

struct SelectWithBytesMaskShapeInfo {
    std::uint32_t firstAxis = 0;
    std::uint32_t srcLastAxis = 0;
    std::uint32_t maskLastAxis = 0;
};

}  // namespace AscendC

namespace aicore {

/// `first` where the byte of the mask is 0, else `second`.
template <class T, class U, class First, class Second>
void select_by_bytes(Site site, const LocalTensor<T>& to, const LocalTensor<U>& mask,
                     const AscendC::SelectWithBytesMaskShapeInfo& info, First first,
                     Second second) {
    const Instruction instruction{"Select", Pipe::v, site};
    mask.use(instruction, 0, info.firstAxis * info.maskLastAxis * sizeof(U), false);
    to.use(instruction, 0, info.firstAxis * info.srcLastAxis * sizeof(T), true);
    for (std::uint32_t row = 0; row < info.firstAxis; ++row) {
        for (std::uint32_t column = 0; column < info.srcLastAxis; ++column) {
            const std::uint32_t at = row * info.srcLastAxis + column;
            const bool is_set = static_cast<bool>(mask.data()[row * info.maskLastAxis + column]);
            to.data()[at] = is_set ? second(at) : first(at);
        }
    }
}

}  // namespace aicore

namespace AscendC {

template <class T, class U, bool isReuseMask = true>
void Select(const LocalTensor<T>& dst, const LocalTensor<T>& src0, aicore::Given<T> src1,
            const LocalTensor<U>& mask, const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
            const SelectWithBytesMaskShapeInfo& info, aicore::Site site = aicore::Site::here()) {
    src0.use({"Select", aicore::Pipe::v, site}, 0, info.firstAxis * info.srcLastAxis * sizeof(T),
             false);
    aicore::select_by_bytes(
        site, dst, mask, info, [&](std::uint32_t at) { return src0.data()[at]; },
        [&](std::uint32_t) { return src1; });
}
template <class T, class U, bool isReuseMask = true>
void Select(const LocalTensor<T>& dst, aicore::Given<T> src0, const LocalTensor<T>& src1,
            const LocalTensor<U>& mask, const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
            const SelectWithBytesMaskShapeInfo& info, aicore::Site site = aicore::Site::here()) {
    src1.use({"Select", aicore::Pipe::v, site}, 0, info.firstAxis * info.srcLastAxis * sizeof(T),
             false);
    aicore::select_by_bytes(
        site, dst, mask, info, [&](std::uint32_t) { return src0; },
        [&](std::uint32_t at) { return src1.data()[at]; });
}
/// Its name in older versions of CANN.
template <class T, class U, bool isReuseMask = true>
void SelectWithBytesMask(const LocalTensor<T>& dst, const LocalTensor<T>& src0,
                         aicore::Given<T> src1, const LocalTensor<U>& mask,
                         const LocalTensor<std::uint8_t>& sharedTmpBuffer,
                         const SelectWithBytesMaskShapeInfo& info,
                         aicore::Site site = aicore::Site::here()) {
    Select<T, U, isReuseMask>(dst, src0, src1, mask, sharedTmpBuffer, info, site);
}
template <class T, class U, bool isReuseMask = true>
void SelectWithBytesMask(const LocalTensor<T>& dst, aicore::Given<T> src0,
                         const LocalTensor<T>& src1, const LocalTensor<U>& mask,
                         const LocalTensor<std::uint8_t>& sharedTmpBuffer,
                         const SelectWithBytesMaskShapeInfo& info,
                         aicore::Site site = aicore::Site::here()) {
    Select<T, U, isReuseMask>(dst, src0, src1, mask, sharedTmpBuffer, info, site);
}

template <class T, std::int32_t dim, std::int32_t axis, bool isReuseSource = false>
void Broadcast(const LocalTensor<T>& dst, const LocalTensor<T>& src,
               const std::uint32_t dstShape[dim], const std::uint32_t srcShape[dim],
               aicore::Site site = aicore::Site::here()) {
    BroadCast<T, dim, axis>(dst, src, dstShape, srcShape, site);
}
template <class T, std::int32_t dim, std::int32_t axis, bool isReuseSource = false>
void Broadcast(const LocalTensor<T>& dst, const LocalTensor<T>& src,
               const std::uint32_t dstShape[dim], const std::uint32_t srcShape[dim],
               const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
               aicore::Site site = aicore::Site::here()) {
    BroadCast<T, dim, axis>(dst, src, dstShape, srcShape, site);
}
template <class T, std::int32_t dim, std::int32_t axis, bool isReuseSource = false>
void BroadCast(const LocalTensor<T>& dst, const LocalTensor<T>& src,
               const std::uint32_t dstShape[dim], const std::uint32_t srcShape[dim],
               const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
               aicore::Site site = aicore::Site::here()) {
    BroadCast<T, dim, axis>(dst, src, dstShape, srcShape, site);
}

/// Fill global memory, as a move of a tensor that the function makes itself.
template <class T>
void Fill(GlobalTensor<T>& gmWorkspace, std::uint64_t size, aicore::Given<T> value,
          aicore::Site site = aicore::Site::here()) {
    void* const target =
        gmWorkspace.use({"Fill", aicore::Pipe::mte3, site}, 0, size * sizeof(T), true);
    std::fill_n(static_cast<T*>(target), size, value);
}
template <class T>
void InitGlobalMemory(GlobalTensor<T>& gmWorkspace, std::uint64_t size, aicore::Given<T> value,
                      aicore::Site site = aicore::Site::here()) {
    Fill<T>(gmWorkspace, size, value, site);
}
template <class T>
void InitOutput(const GlobalTensor<T>& gmWorkspace, std::uint32_t size, aicore::Given<T> value = 0,
                aicore::Site site = aicore::Site::here()) {
    GlobalTensor<T> target = gmWorkspace;
    Fill<T>(target, size, value, site);
}

/// What is left of UB, for kernels that use it without a queue.
template <class T, TPosition position>
bool PopStackBuffer(LocalTensor<T>& popLocal, aicore::Site site = aicore::Site::here()) {
    const std::uint32_t used = aicore::core->reserved(aicore::Space::ub);
    const std::uint32_t left = aicore::Core::bytes(aicore::Space::ub) - used;
    aicore::core->require(left > 0, "overflow", "PopStackBuffer: UB has no bytes left", site);
    popLocal = LocalTensor<T>(aicore::Core::base(aicore::Space::ub) + used,
                              static_cast<std::uint32_t>(left / sizeof(T)), position, nullptr);
    return left > 0;
}

enum class TopKMode : std::uint8_t { TOPK_NORMAL = 0, TOPK_NSMALL };
struct TopKInfo {
    std::int32_t outter = 1;
    std::int32_t inner = 0;
    std::int32_t n = 0;
};

/// The k largest or smallest of the first n elements of each row, in order, with their indices.
template <class T, bool isInitIndex = false, bool isHasfinish = false, bool isReuseSrc = false,
          TopKMode topkMode = TopKMode::TOPK_NORMAL>
void TopK(const LocalTensor<T>& dstValue, const LocalTensor<std::int32_t>& dstIndex,
          const LocalTensor<T>& src, const LocalTensor<std::int32_t>& srcIndex,
          const LocalTensor<bool>& finish, std::int32_t k, const TopkTiling& /*tiling*/,
          const TopKInfo& info, bool isLargest = true, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"TopK", aicore::Pipe::v, site};
    // Rows of the results begin at whole blocks of 32 bytes.
    const auto padded = [k](std::size_t bytes) {
        const auto per_block = static_cast<std::int32_t>(32 / bytes);
        return static_cast<std::uint32_t>((k + per_block - 1) / per_block * per_block);
    };
    const auto rows = static_cast<std::uint32_t>(info.outter);
    const auto inner = static_cast<std::uint32_t>(info.inner);
    src.use(instruction, 0, std::uint64_t{rows} * inner * sizeof(T), false);
    dstValue.use(instruction, 0, std::uint64_t{rows} * padded(sizeof(T)) * sizeof(T), true);
    dstIndex.use(instruction, 0, std::uint64_t{rows} * padded(4) * 4, true);
    if constexpr (isInitIndex) {
        srcIndex.use(instruction, 0, inner * sizeof(std::int32_t), false);
    }
    if constexpr (isHasfinish) {
        finish.use(instruction, 0, rows * sizeof(bool), false);
    }
    for (std::uint32_t row = 0; row < rows; ++row) {
        const T* const values = src.data() + std::size_t{row} * inner;
        std::vector<std::int32_t> order(static_cast<std::size_t>(info.n));
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::int32_t first, std::int32_t second) {
            const auto x = aicore::widen(values[first]);
            const auto y = aicore::widen(values[second]);
            return isLargest ? x > y : x < y;
        });
        for (std::int32_t rank = 0; rank < k; ++rank) {
            const auto at = static_cast<std::uint32_t>(rank);
            const std::int32_t found = order[at];
            bool is_finished = false;
            if constexpr (isHasfinish) {
                is_finished = finish.data()[row];
            }
            dstValue.data()[row * padded(sizeof(T)) + at] = values[found];
            dstIndex.data()[row * padded(4) + at] = is_finished   ? info.n
                                                    : isInitIndex ? srcIndex.data()[found]
                                                                  : found;
        }
    }
}
template <class T, bool isInitIndex = false, bool isHasfinish = false, bool isReuseSrc = false,
          TopKMode topkMode = TopKMode::TOPK_NORMAL>
void TopK(const LocalTensor<T>& dstValue, const LocalTensor<std::int32_t>& dstIndex,
          const LocalTensor<T>& src, const LocalTensor<std::int32_t>& srcIndex,
          const LocalTensor<bool>& finish, const LocalTensor<std::uint8_t>& /*tmp*/, std::int32_t k,
          const TopkTiling& tiling, const TopKInfo& info, bool isLargest = true,
          aicore::Site site = aicore::Site::here()) {
    TopK<T, isInitIndex, isHasfinish, isReuseSrc, topkMode>(
        dstValue, dstIndex, src, srcIndex, finish, k, tiling, info, isLargest, site);
}

/// The smaller of `max` and the larger of `min` and x, each a tensor or a number.
template <class T, class Low, class High>
void Clamp(const LocalTensor<T>& dst, const LocalTensor<T>& src, const Low& low, const High& high,
           std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Clamp", aicore::Pipe::v, site};
    const auto bound = [&](const auto& side, std::uint32_t index) {
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(side)>> ||
                      std::is_same_v<std::decay_t<decltype(side)>, T>) {
            return aicore::widen(static_cast<T>(side));
        } else {
            side.use(instruction, index * sizeof(T), sizeof(T), false);
            return aicore::widen(side.data()[index]);
        }
    };
    src.use(instruction, 0, count * sizeof(T), false);
    dst.use(instruction, 0, count * sizeof(T), true);
    for (std::uint32_t index = 0; index < count; ++index) {
        const auto value = aicore::widen(src.data()[index]);
        dst.data()[index] =
            static_cast<T>(std::min(std::max(value, bound(low, index)), bound(high, index)));
    }
}

}  // namespace AscendC
