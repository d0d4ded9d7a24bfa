// DataCopy and DataCopyPad: moves between global memory and the memory of a core, and atomics.
#pragma once

#include "ascendc/vector_engine.h"

namespace AscendC {

/// Blocks of 32 bytes; the gaps are between the end of one block and the begin of the next.
struct DataCopyParams {
    DataCopyParams() = default;
    DataCopyParams(std::uint16_t count, std::uint16_t length, std::uint16_t src, std::uint16_t dst)
        : blockCount(count), blockLen(length), srcGap(src), dstGap(dst) {}
    std::uint16_t blockCount = 1;
    std::uint16_t blockLen = 0;
    union {
        std::uint16_t srcGap = 0;
        std::uint16_t srcStride;
    };
    union {
        std::uint16_t dstGap = 0;
        std::uint16_t dstStride;
    };
};

/// Blocks of bytes; the stride on UB is in blocks of 32 bytes, that on global memory in bytes.
struct DataCopyExtParams {
    DataCopyExtParams() = default;
    DataCopyExtParams(std::uint16_t count, std::uint32_t length, std::int64_t src, std::int64_t dst,
                      std::uint32_t reserved)
        : blockCount(count), blockLen(length), srcStride(src), dstStride(dst), rsv(reserved) {}
    std::uint16_t blockCount = 1;
    std::uint32_t blockLen = 0;
    std::int64_t srcStride = 0;
    std::int64_t dstStride = 0;
    std::uint32_t rsv = 0;
};

struct DataCopyPadParams {
    DataCopyPadParams() = default;
    DataCopyPadParams(bool is_pad, std::uint8_t left, std::uint8_t right, std::uint64_t value)
        : isPad(is_pad), leftPadding(left), rightPadding(right), paddingValue(value) {}
    bool isPad = false;
    std::uint8_t leftPadding = 0;
    std::uint8_t rightPadding = 0;
    std::uint64_t paddingValue = 0;
};

template <class T>
struct DataCopyPadExtParams {
    DataCopyPadExtParams() = default;
    DataCopyPadExtParams(bool is_pad, std::uint8_t left, std::uint8_t right, T value)
        : isPad(is_pad), leftPadding(left), rightPadding(right), paddingValue(value) {}
    bool isPad = false;
    std::uint8_t leftPadding = 0;
    std::uint8_t rightPadding = 0;
    T paddingValue{};
};

struct Nd2NzParams {
    Nd2NzParams() = default;
    Nd2NzParams(std::uint16_t count, std::uint16_t rows, std::uint16_t columns,
                std::uint16_t src_matrix, std::uint16_t src_row, std::uint16_t dst_c0,
                std::uint16_t dst_n, std::uint16_t dst_matrix)
        : ndNum(count),
          nValue(rows),
          dValue(columns),
          srcNdMatrixStride(src_matrix),
          srcDValue(src_row),
          dstNzC0Stride(dst_c0),
          dstNzNStride(dst_n),
          dstNzMatrixStride(dst_matrix) {}
    std::uint16_t ndNum = 0;
    std::uint16_t nValue = 0;
    std::uint16_t dValue = 0;
    std::uint16_t srcNdMatrixStride = 0;
    std::uint16_t srcDValue = 0;
    std::uint16_t dstNzC0Stride = 0;
    std::uint16_t dstNzNStride = 0;
    std::uint16_t dstNzMatrixStride = 0;
};

}  // namespace AscendC

namespace aicore {

using AscendC::GlobalTensor;
using AscendC::TPosition;

constexpr std::uint32_t most_blocks = 4095;

/// The pipe that stores what lies at a position.
inline Pipe storing_pipe(TPosition position) {
    return position == TPosition::CO1 ? Pipe::fix : Pipe::mte3;
}

/// The pipe that moves between two memories of a core.
constexpr Pipe moving_pipe(TPosition from, TPosition to) {
    const Space source = space_of(from);
    const Space target = space_of(to);
    return source == Space::ub && target == Space::ub ? Pipe::v
           : source == Space::ub                      ? Pipe::mte3
           : target == Space::fixpipe                 ? Pipe::fix
           : source == Space::l0c                     ? Pipe::v
                                                      : Pipe::mte1;
}

template <class T>
std::uint8_t* bytes_at(const LocalTensor<T>& tensor, std::uint64_t offset) {
    return reinterpret_cast<std::uint8_t*>(tensor.data()) + offset;
}

/// The whole blocks of 32 bytes that `count` elements fill: a device moves no more than these.
template <class T>
std::uint64_t whole_blocks(const Instruction& instruction, std::uint64_t count) {
    const std::uint64_t bytes = bytes_of_elements<T>(count);
    if (bytes % block_bytes != 0) {
        core->report("count",
                     std::string(instruction.name) + ": " + std::to_string(count) +
                         " elements are " + std::to_string(bytes) +
                         " bytes, and a device moves whole blocks of 32: " +
                         std::to_string(bytes / block_bytes * block_bytes) +
                         " bytes; use DataCopyPad for the rest",
                     instruction.site);
    }
    return bytes / block_bytes * block_bytes;
}

/// Move `count` blocks of `bytes` from global memory; the steps are from begin to begin.
template <class T>
void load_blocks(const Instruction& instruction, const LocalTensor<T>& to,
                 const GlobalTensor<T>& from, std::uint32_t count, std::uint64_t bytes,
                 std::uint64_t to_step, std::uint64_t from_step) {
    for (std::uint64_t block = 0; block < count; ++block) {
        const void* const source = core->global(
            instruction,
            reinterpret_cast<const std::uint8_t*>(from.GetPhyAddr()) + block * from_step, bytes,
            false);
        to.use(instruction, block * to_step, bytes, true);
        std::memcpy(bytes_at(to, block * to_step), source, bytes);
    }
}

template <class T>
void store_blocks(const Instruction& instruction, const GlobalTensor<T>& to,
                  const LocalTensor<T>& from, std::uint32_t count, std::uint64_t bytes,
                  std::uint64_t to_step, std::uint64_t from_step) {
    for (std::uint64_t block = 0; block < count; ++block) {
        from.use(instruction, block * from_step, bytes, false);
        void* const target = core->global(
            instruction, reinterpret_cast<const std::uint8_t*>(to.GetPhyAddr()) + block * to_step,
            bytes, true);
        core->store_global(target, bytes_at(from, block * from_step), bytes, element_of<T>());
    }
}

inline void require_blocks(const Instruction& instruction, std::uint32_t count) {
    core->require(count >= 1 && count <= most_blocks, "range", "the block count must be 1 to 4095",
                  instruction.site);
}

}  // namespace aicore

namespace AscendC {

// Global memory to the core.
template <class T>
void DataCopy(const LocalTensor<T>& dst, const GlobalTensor<T>& src, std::uint32_t count,
              aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"DataCopy", aicore::Pipe::mte2, site};
    dst.require_aligned(instruction, aicore::block_bytes);
    aicore::load_blocks(instruction, dst, src, 1, aicore::whole_blocks<T>(instruction, count), 0,
                        0);
}
template <class T>
void DataCopy(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const DataCopyParams& params,
              aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"DataCopy", aicore::Pipe::mte2, site};
    dst.require_aligned(instruction, aicore::block_bytes);
    aicore::require_blocks(instruction, params.blockCount);
    aicore::load_blocks(instruction, dst, src, params.blockCount, params.blockLen * 32U,
                        (params.blockLen + params.dstGap) * 32U,
                        (params.blockLen + params.srcGap) * 32U);
}

// The core to global memory.
template <class T>
void DataCopy(const GlobalTensor<T>& dst, const LocalTensor<T>& src, std::uint32_t count,
              aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"DataCopy", aicore::storing_pipe(src.position()), site};
    src.require_aligned(instruction, aicore::block_bytes);
    aicore::store_blocks(instruction, dst, src, 1, aicore::whole_blocks<T>(instruction, count), 0,
                         0);
}
template <class T>
void DataCopy(const GlobalTensor<T>& dst, const LocalTensor<T>& src, const DataCopyParams& params,
              aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"DataCopy", aicore::storing_pipe(src.position()), site};
    src.require_aligned(instruction, aicore::block_bytes);
    aicore::require_blocks(instruction, params.blockCount);
    aicore::store_blocks(instruction, dst, src, params.blockCount, params.blockLen * 32U,
                         (params.blockLen + params.dstGap) * 32U,
                         (params.blockLen + params.srcGap) * 32U);
}

// Inside a core.
template <class T>
void DataCopy(const LocalTensor<T>& dst, const LocalTensor<T>& src, const DataCopyParams& params,
              aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{
        "DataCopy", aicore::moving_pipe(src.position(), dst.position()), site};
    for (std::uint32_t block = 0; block < params.blockCount; ++block) {
        const std::uint64_t from = block * (params.blockLen + params.srcGap) * 32U;
        const std::uint64_t to = block * (params.blockLen + params.dstGap) * 32U;
        src.use(instruction, from, params.blockLen * 32U, false);
        dst.use(instruction, to, params.blockLen * 32U, true);
        std::memmove(aicore::bytes_at(dst, to), aicore::bytes_at(src, from), params.blockLen * 32U);
    }
}
template <class T>
void DataCopy(const LocalTensor<T>& dst, const LocalTensor<T>& src, std::uint32_t count,
              aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{
        "DataCopy", aicore::moving_pipe(src.position(), dst.position()), site};
    const std::uint64_t bytes = aicore::whole_blocks<T>(instruction, count);
    src.use(instruction, 0, bytes, false);
    dst.use(instruction, 0, bytes, true);
    std::memmove(dst.data(), src.data(), bytes);
}
/// A bias in L1 to BT, whose elements are wider.
template <class T, class U>
std::enable_if_t<!std::is_same_v<T, U>> DataCopy(const LocalTensor<T>& dst,
                                                 const LocalTensor<U>& src,
                                                 const DataCopyParams& params,
                                                 aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{
        "DataCopy", aicore::moving_pipe(src.position(), dst.position()), site};
    const std::uint32_t elements = params.blockLen * 32U / sizeof(U);
    for (std::uint32_t block = 0; block < params.blockCount; ++block) {
        const std::uint64_t from = block * (params.blockLen + params.srcGap) * 32U / sizeof(U);
        const std::uint64_t to =
            block * (elements + params.dstGap * 32U / static_cast<std::uint32_t>(sizeof(T)));
        src.use(instruction, from * sizeof(U), elements * sizeof(U), false);
        dst.use(instruction, to * sizeof(T), elements * sizeof(T), true);
        for (std::uint32_t index = 0; index < elements; ++index) {
            dst.data()[to + index] = static_cast<T>(aicore::widen(src.data()[from + index]));
        }
    }
}

/// Rows to the format of the cube: columns in groups of 32 bytes, each group a matrix of its own.
template <class T>
void DataCopy(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const Nd2NzParams& params,
              aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"DataCopy (Nd2Nz)", aicore::Pipe::mte2, site};
    constexpr std::uint32_t c0 = aicore::block_bytes / sizeof(T);
    for (std::uint32_t matrix = 0; matrix < params.ndNum; ++matrix) {
        for (std::uint32_t row = 0; row < params.nValue; ++row) {
            const std::uint64_t begin = std::uint64_t{matrix} * params.srcNdMatrixStride +
                                        std::uint64_t{row} * params.srcDValue;
            const T* const source = static_cast<const T*>(
                src.use(instruction, begin, params.dValue * sizeof(T), false));
            for (std::uint32_t group = 0; group * c0 < params.dValue; ++group) {
                const std::uint32_t to =
                    matrix * params.dstNzMatrixStride +
                    (group * params.dstNzC0Stride + row * params.dstNzNStride) * c0;
                dst.use(instruction, to * sizeof(T), aicore::block_bytes, true);
                for (std::uint32_t column = 0; column < c0; ++column) {
                    const std::uint32_t at = group * c0 + column;
                    dst.data()[to + column] = at < params.dValue ? source[at] : T(0);
                }
            }
        }
    }
}

/// What DataCopyPad fills with if its parameters do not say.
template <class T, TPosition position = TPosition::MAX>
void SetPadValue(T paddingValue) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &paddingValue, std::min(sizeof bits, sizeof paddingValue));
    aicore::core->padding = bits;
    aicore::core->has_padding = true;
}

// With lengths in bytes and padding.
template <class T>
void DataCopyPad(const LocalTensor<T>& dst, const GlobalTensor<T>& src,
                 const DataCopyExtParams& params, const DataCopyPadExtParams<T>& padding,
                 aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"DataCopyPad", aicore::Pipe::mte2, site};
    dst.require_aligned(instruction, aicore::block_bytes);
    aicore::require_blocks(instruction, params.blockCount);
    aicore::core->require(params.blockLen <= 2097151 && params.blockLen % sizeof(T) == 0, "range",
                          "DataCopyPad: blockLen must be at most 2097151 bytes and a multiple of "
                          "the element's size",
                          site);
    const std::uint64_t left = padding.isPad ? padding.leftPadding * sizeof(T) : 0;
    const std::uint64_t right = padding.isPad ? padding.rightPadding * sizeof(T) : 0;
    aicore::core->require(left <= 32 && right <= 32, "range",
                          "DataCopyPad: leftPadding and rightPadding must be at most 32 bytes",
                          site);
    const std::uint64_t filled = left + params.blockLen + right;
    const std::uint64_t padded =
        (filled + aicore::block_bytes - 1) / aicore::block_bytes * aicore::block_bytes;
    const std::uint64_t to_step =
        padded + static_cast<std::uint64_t>(params.dstStride) * aicore::block_bytes;
    for (std::uint64_t block = 0; block < params.blockCount; ++block) {
        const void* const source =
            aicore::core->global(instruction,
                                 reinterpret_cast<const std::uint8_t*>(src.GetPhyAddr()) +
                                     block * (params.blockLen + params.srcStride),
                                 params.blockLen, false);
        dst.use(instruction, block * to_step, padded, true);
        std::uint8_t* const to = aicore::bytes_at(dst, block * to_step);
        T* const elements = reinterpret_cast<T*>(to);
        T filler = padding.paddingValue;
        if (!padding.isPad && params.blockLen != 0) {
            // A device fills with the value of SetPadValue, or else with the first element.
            std::memcpy(&filler, aicore::core->has_padding ? &aicore::core->padding : source,
                        sizeof filler);
        }
        std::fill_n(elements, padded / sizeof(T), filler);
        std::memcpy(to + left, source, params.blockLen);
    }
}
template <class T>
void DataCopyPad(const LocalTensor<T>& dst, const GlobalTensor<T>& src,
                 const DataCopyParams& params, const DataCopyPadParams& padding,
                 aicore::Site site = aicore::Site::here()) {
    T value{};
    std::memcpy(&value, &padding.paddingValue, std::min(sizeof value, sizeof padding.paddingValue));
    DataCopyPad(
        dst, src,
        DataCopyExtParams(params.blockCount, params.blockLen, params.srcGap, params.dstGap, 0),
        DataCopyPadExtParams<T>(padding.isPad, padding.leftPadding, padding.rightPadding, value),
        site);
}
template <class T>
void DataCopyPad(const GlobalTensor<T>& dst, const LocalTensor<T>& src,
                 const DataCopyExtParams& params, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"DataCopyPad", aicore::Pipe::mte3, site};
    src.require_aligned(instruction, aicore::block_bytes);
    aicore::require_blocks(instruction, params.blockCount);
    const std::uint64_t padded = (std::uint64_t{params.blockLen} + aicore::block_bytes - 1) /
                                 aicore::block_bytes * aicore::block_bytes;
    aicore::store_blocks(instruction, dst, src, params.blockCount, params.blockLen,
                         params.blockLen + params.dstStride,
                         padded + static_cast<std::uint64_t>(params.srcStride) * 32U);
}
template <class T>
void DataCopyPad(const GlobalTensor<T>& dst, const LocalTensor<T>& src,
                 const DataCopyParams& params, aicore::Site site = aicore::Site::here()) {
    DataCopyPad(
        dst, src,
        DataCopyExtParams(params.blockCount, params.blockLen, params.srcGap, params.dstGap, 0),
        site);
}

// Stores that combine with what global memory holds.
template <class T>
void SetAtomicAdd() {
    static_assert(aicore::element_of<T>() != aicore::Element::other,
                  "SetAtomicAdd has no instruction for this type");
    aicore::core->atomic = aicore::Atomic::add;
}
template <class T>
void SetAtomicMax() {
    aicore::core->atomic = aicore::Atomic::max;
}
template <class T>
void SetAtomicMin() {
    aicore::core->atomic = aicore::Atomic::min;
}
inline void SetAtomicNone() { aicore::core->atomic = aicore::Atomic::none; }
inline void DisableDmaAtomic() { SetAtomicNone(); }

}  // namespace AscendC
