// Vector instructions that put elements into another order: TransDataTo5HD, Interleave, Gatherb.
#pragma once

#include <vector>

#include "ascendc/vector_engine.h"

namespace AscendC {

struct TransDataTo5HDParams {
    TransDataTo5HDParams() = default;
    TransDataTo5HDParams(bool dst_high, bool src_high, std::uint8_t repeats,
                         std::uint16_t dst_stride, std::uint16_t src_stride)
        : dstHighHalf(dst_high),
          srcHighHalf(src_high),
          repeatTimes(repeats),
          dstRepStride(dst_stride),
          srcRepStride(src_stride) {}
    bool dstHighHalf = false;
    bool srcHighHalf = false;
    std::uint8_t repeatTimes = 1;
    std::uint16_t dstRepStride = 0;
    std::uint16_t srcRepStride = 0;
};

constexpr std::int32_t NCHW_CONV_ADDR_LIST_SIZE = 16;

struct GatherRepeatParams {
    GatherRepeatParams() = default;
    GatherRepeatParams(std::uint8_t block_stride, std::uint8_t repeat_stride)
        : dstRepStride(repeat_stride), dstBlkStride(block_stride) {}
    std::uint32_t blockNumber = DEFAULT_BLK_NUM;
    std::uint16_t dstRepStride = DEFAULT_REPEAT_STRIDE;
    std::uint8_t dstBlkStride = DEFAULT_BLK_STRIDE;
};

}  // namespace AscendC

namespace aicore {

/// A block of 32 bytes on the core, by its address, for instructions that get lists of them.
template <class T>
LocalTensor<T> block_at(const LocalTensor<T>& tensor) {
    return tensor;
}
template <class T>
LocalTensor<T> block_at(std::uint64_t pointer) {
    const std::uint32_t address =
        core->address_of(reinterpret_cast<const void*>(static_cast<std::uintptr_t>(pointer)));
    return {address, static_cast<std::uint32_t>(block_bytes / sizeof(T)),
            AscendC::TPosition::VECCALC, nullptr};
}

/// Transpose 16 blocks into 16 blocks, `lists` times.
template <class T, class Address>
void transpose_blocks(const Instruction& instruction, const Address (&to)[16],
                      const Address (&from)[16], const AscendC::TransDataTo5HDParams& params) {
    constexpr std::uint32_t columns = sizeof(T) == 4 ? 8 : 16;  // of a block that are taken
    for (std::uint32_t repeat = 0; repeat < params.repeatTimes; ++repeat) {
        const std::uint64_t from_offset = std::uint64_t{repeat} * params.srcRepStride * 32;
        const std::uint64_t to_offset = std::uint64_t{repeat} * params.dstRepStride * 32;
        T values[16][columns];
        for (std::uint32_t row = 0; row < 16; ++row) {
            const LocalTensor<T> block = block_at<T>(from[row]);
            const std::uint32_t first = sizeof(T) == 1 && params.srcHighHalf ? 16 : 0;
            block.require_aligned(instruction, block_bytes);
            block.use(instruction, from_offset + first * sizeof(T), columns * sizeof(T), false);
            std::memcpy(values[row],
                        reinterpret_cast<const std::uint8_t*>(block.data() + first) + from_offset,
                        sizeof values[row]);
        }
        for (std::uint32_t row = 0; row < 16; ++row) {
            // 4 bytes: two blocks hold the 16 values of a column.
            const std::uint32_t column = sizeof(T) == 4 ? row / 2 : row;
            const std::uint32_t begin = sizeof(T) == 4 ? row % 2 * 8 : 0;
            const std::uint32_t first = sizeof(T) == 1 && params.dstHighHalf ? 16 : 0;
            const LocalTensor<T> block = block_at<T>(to[row]);
            block.require_aligned(instruction, block_bytes);
            block.use(instruction, to_offset + first * sizeof(T), columns * sizeof(T), true);
            T* const target = reinterpret_cast<T*>(
                reinterpret_cast<std::uint8_t*>(block.data() + first) + to_offset);
            for (std::uint32_t index = 0; index < columns; ++index) {
                target[index] = values[begin + index][column];
            }
        }
    }
}

}  // namespace aicore

namespace AscendC {

/// Transpose 16 rows, given by tensors or by addresses.
template <class T>
void TransDataTo5HD(const LocalTensor<T> (&dstList)[16], const LocalTensor<T> (&srcList)[16],
                    const TransDataTo5HDParams& params, aicore::Site site = aicore::Site::here()) {
    aicore::transpose_blocks<T>({"TransDataTo5HD", aicore::Pipe::v, site}, dstList, srcList,
                                params);
}
template <class T>
void TransDataTo5HD(const std::uint64_t (&dstList)[16], const std::uint64_t (&srcList)[16],
                    const TransDataTo5HDParams& params, aicore::Site site = aicore::Site::here()) {
    aicore::transpose_blocks<T>({"TransDataTo5HD", aicore::Pipe::v, site}, dstList, srcList,
                                params);
}

/// Take the elements of two tensors alternately, as one sequence in two halves.
template <class T>
void Interleave(const LocalTensor<T>& dst0, const LocalTensor<T>& dst1, const LocalTensor<T>& src0,
                const LocalTensor<T>& src1, std::int32_t count,
                aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Interleave", aicore::Pipe::v, site};
    const auto elements = static_cast<std::uint32_t>(count);
    for (const LocalTensor<T>* tensor : {&src0, &src1, &dst0, &dst1}) {
        aicore::require_vector_operand(instruction, *tensor);
        tensor->use(instruction, 0, elements * sizeof(T), tensor == &dst0 || tensor == &dst1);
    }
    std::vector<T> mixed(2 * std::size_t{elements});
    for (std::uint32_t index = 0; index < elements; ++index) {
        mixed[2 * index] = src0.data()[index];
        mixed[2 * index + 1] = src1.data()[index];
    }
    std::copy_n(mixed.data(), elements, dst0.data());
    std::copy_n(mixed.data() + elements, elements, dst1.data());
}

/// Separate the even and the odd elements of a sequence in two halves.
template <class T>
void DeInterleave(const LocalTensor<T>& dst0, const LocalTensor<T>& dst1,
                  const LocalTensor<T>& src0, const LocalTensor<T>& src1, std::int32_t count,
                  aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"DeInterleave", aicore::Pipe::v, site};
    const auto elements = static_cast<std::uint32_t>(count);
    for (const LocalTensor<T>* tensor : {&src0, &src1, &dst0, &dst1}) {
        aicore::require_vector_operand(instruction, *tensor);
        tensor->use(instruction, 0, elements * sizeof(T), tensor == &dst0 || tensor == &dst1);
    }
    std::vector<T> all(src0.data(), src0.data() + elements);
    all.insert(all.end(), src1.data(), src1.data() + elements);
    for (std::uint32_t index = 0; index < elements; ++index) {
        dst0.data()[index] = all[2 * index];
        dst1.data()[index] = all[2 * index + 1];
    }
}

/// Gather blocks of 32 bytes, 8 per repeat, from byte offsets.
template <class T>
void Gatherb(const LocalTensor<T>& dst, const LocalTensor<T>& src0,
             const LocalTensor<std::uint32_t>& offset, std::uint8_t repeatTime,
             const GatherRepeatParams& repeatParams, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Gatherb", aicore::Pipe::v, site};
    aicore::require_vector_operand(instruction, dst);
    offset.use(instruction, 0, std::uint64_t{repeatTime} * 8 * sizeof(std::uint32_t), false);
    for (std::uint32_t index = 0; index < repeatTime * 8U; ++index) {
        const std::uint32_t from = offset.data()[index];
        aicore::core->require(from % 32 == 0, "alignment",
                              "Gatherb: each offset must be a multiple of 32", site);
        const std::uint64_t to = std::uint64_t{index / 8 * repeatParams.dstRepStride +
                                               index % 8 * repeatParams.dstBlkStride} *
                                 32;
        src0.use(instruction, from, 32, false);
        dst.use(instruction, to, 32, true);
        std::memmove(reinterpret_cast<std::uint8_t*>(dst.data()) + to,
                     reinterpret_cast<const std::uint8_t*>(src0.data()) + from, 32);
    }
}

}  // namespace AscendC
