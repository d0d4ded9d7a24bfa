// Vector instructions that move or make elements: Duplicate, Copy, Brcb, Gather, indices.
#pragma once

#include "ascendc/vector_engine.h"

namespace AscendC {

struct CopyRepeatParams {
    CopyRepeatParams() = default;
    CopyRepeatParams(std::uint16_t dst_stride, std::uint16_t src_stride, std::uint16_t dst_repeat,
                     std::uint16_t src_repeat)
        : dstStride(dst_stride),
          srcStride(src_stride),
          dstRepeatSize(dst_repeat),
          srcRepeatSize(src_repeat) {}
    std::uint16_t dstStride = DEFAULT_BLK_STRIDE;
    std::uint16_t srcStride = DEFAULT_BLK_STRIDE;
    std::uint16_t dstRepeatSize = DEFAULT_REPEAT_STRIDE;
    std::uint16_t srcRepeatSize = DEFAULT_REPEAT_STRIDE;
};

struct BrcbRepeatParams {
    BrcbRepeatParams() = default;
    BrcbRepeatParams(std::uint16_t block_stride, std::uint16_t repeat_stride)
        : dstBlkStride(block_stride), dstRepStride(repeat_stride) {}
    std::uint16_t dstBlkStride = DEFAULT_BLK_STRIDE;
    std::uint16_t dstRepStride = DEFAULT_REPEAT_STRIDE;
};

template <class T>
void Duplicate(const LocalTensor<T>& dst, const aicore::Given<T>& scalar, std::int32_t count,
               aicore::Site site = aicore::Site::here()) {
    aicore::with_count({"Duplicate", aicore::Pipe::v, site}, count, false, dst,
                       [scalar](T) { return scalar; });
}
template <class T, bool isSetMask = true, class Mask>
void Duplicate(const LocalTensor<T>& dst, const aicore::Given<T>& scalar, Mask mask,
               std::uint8_t repeatTime, std::uint16_t dstBlockStride, std::uint8_t dstRepeatStride,
               aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Duplicate", aicore::Pipe::v, site};
    aicore::with_repeats(
        instruction, aicore::lanes_of(instruction, isSetMask, mask, sizeof(T), repeatTime), false,
        dst, {dstBlockStride, dstRepeatStride}, [scalar](T) { return scalar; });
}

template <class T, bool isSetMask = true, class Mask>
void Copy(const LocalTensor<T>& dst, const LocalTensor<T>& src, Mask mask, std::uint8_t repeatTime,
          const CopyRepeatParams& repeatParams, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Copy", aicore::Pipe::v, site};
    aicore::with_repeats(
        instruction, aicore::lanes_of(instruction, isSetMask, mask, sizeof(T), repeatTime), false,
        dst, {repeatParams.dstStride, repeatParams.dstRepeatSize}, [](T, T value) { return value; },
        aicore::operand(src, repeatParams.srcStride, repeatParams.srcRepeatSize));
}

/// Fill 8 blocks of 32 bytes a repeat, each with one of 8 elements.
template <class T>
void Brcb(const LocalTensor<T>& dst, const LocalTensor<T>& src0, std::uint8_t repeatTime,
          const BrcbRepeatParams& repeatParams, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Brcb", aicore::Pipe::v, site};
    aicore::require_vector_operand(instruction, dst);
    src0.use(instruction, 0, std::uint64_t{repeatTime} * 8 * sizeof(T), false);
    for (std::uint32_t repeat = 0; repeat < repeatTime; ++repeat) {
        for (std::uint32_t block = 0; block < 8; ++block) {
            const std::uint64_t offset = std::uint64_t{repeat * repeatParams.dstRepStride +
                                                       block * repeatParams.dstBlkStride} *
                                         aicore::block_bytes;
            dst.use(instruction, offset, aicore::block_bytes, true);
            T* const target =
                reinterpret_cast<T*>(reinterpret_cast<std::uint8_t*>(dst.data()) + offset);
            std::fill_n(target, aicore::block_bytes / sizeof(T), src0.data()[repeat * 8 + block]);
        }
    }
}

/// `dst[i]` is the element at byte `srcBaseAddr + srcOffset[i]` of the source.
template <class T>
void Gather(const LocalTensor<T>& dst, const LocalTensor<T>& src,
            const LocalTensor<std::uint32_t>& srcOffset, std::uint32_t srcBaseAddr,
            std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Gather", aicore::Pipe::v, site};
    aicore::require_vector_operand(instruction, dst);
    srcOffset.use(instruction, 0, count * sizeof(std::uint32_t), false);
    dst.use(instruction, 0, count * sizeof(T), true);
    for (std::uint32_t index = 0; index < count; ++index) {
        const std::uint32_t offset = srcBaseAddr + srcOffset.data()[index];
        aicore::core->require(offset % sizeof(T) == 0, "alignment",
                              "Gather: each offset must be a multiple of the element's size", site);
        src.use(instruction, offset, sizeof(T), false);
        std::memcpy(dst.data() + index, reinterpret_cast<const std::uint8_t*>(src.data()) + offset,
                    sizeof(T));
    }
}
template <class T>
void Gather(const LocalTensor<T>& dst, const LocalTensor<T>& src,
            const LocalTensor<std::uint32_t>& srcOffset, std::uint32_t srcBaseAddr,
            std::uint64_t mask, std::uint8_t repeatTime, std::uint16_t dstRepStride,
            aicore::Site site = aicore::Site::here()) {
    constexpr std::uint32_t per_repeat = 256 / sizeof(T);
    for (std::uint32_t repeat = 0; repeat < repeatTime; ++repeat) {
        Gather(dst[repeat * dstRepStride * aicore::block_bytes / sizeof(T)], src,
               srcOffset[repeat * per_repeat], srcBaseAddr, static_cast<std::uint32_t>(mask), site);
    }
}

template <class T>
void ArithProgression(const LocalTensor<T>& dst, aicore::Given<T> firstValue,
                      aicore::Given<T> diffValue, std::int32_t count,
                      aicore::Site site = aicore::Site::here()) {
    std::int32_t index = 0;
    aicore::with_count(
        {"ArithProgression", aicore::Pipe::v, site}, count, false, dst,
        [&index, firstValue, diffValue](T) {
            const auto step = static_cast<aicore::Computed<T>>(index++);
            return static_cast<T>(aicore::widen(firstValue) + step * aicore::widen(diffValue));
        });
}
template <class T>
void CreateVecIndex(const LocalTensor<T>& dst, aicore::Given<T> firstValue, std::uint32_t count,
                    aicore::Site site = aicore::Site::here()) {
    ArithProgression(dst, firstValue, T(1), static_cast<std::int32_t>(count), site);
}

/// Transpose a matrix of 16 x 16 elements of 16 bits.
template <class T>
void Transpose(const LocalTensor<T>& dst, const LocalTensor<T>& src,
               aicore::Site site = aicore::Site::here()) {
    static_assert(sizeof(T) == 2, "Transpose has no instruction for this type");
    const aicore::Instruction instruction{"Transpose", aicore::Pipe::v, site};
    src.use(instruction, 0, 512, false);
    dst.use(instruction, 0, 512, true);
    T result[256];
    for (int row = 0; row < 16; ++row) {
        for (int column = 0; column < 16; ++column) {
            result[column * 16 + row] = src.data()[row * 16 + column];
        }
    }
    std::memcpy(dst.data(), result, sizeof result);
}

}  // namespace AscendC
