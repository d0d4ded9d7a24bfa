// Fixpipe: L0C to global memory or to L1, with a conversion, a quantization and ReLU on the way.
#pragma once

#include <vector>

#include "ascendc/move.h"
#include "ascendc/vector_cast.h"

enum QuantMode_t : std::uint8_t {
    NoQuant = 0,
    F322F16 = 1,
    VQF322HIF8_PRE = 2,
    QF322HIF8_PRE = 3,
    VDEQF16 = 4,
    DEQF16 = 5,
    VSHIFTS322S16 = 12,
    SHIFTS322S16 = 13,
    F322BF16 = 16,
    VQF322B8_PRE = 24,
    QF322B8_PRE = 25,
    REQ8 = 26,
    VREQ8 = 27,
    VQF322F32_PRE = 32,
    QF322F32_PRE = 33,
    VQS322BF16_PRE = 34,
    QS322BF16_PRE = 35
};

namespace AscendC {

enum class CO2Layout : std::uint8_t { NZ, ROW_MAJOR, COLUMN_MAJOR };
struct FixpipeConfig {
    CO2Layout format;
};
constexpr FixpipeConfig CFG_NZ = {CO2Layout::NZ};
constexpr FixpipeConfig CFG_ROW_MAJOR = {CO2Layout::ROW_MAJOR};

struct FixpipeParamsV220 {
    FixpipeParamsV220() = default;
    FixpipeParamsV220(std::uint16_t columns, std::uint16_t rows, std::uint16_t src,
                      std::uint32_t dst, bool relu)
        : nSize(columns), mSize(rows), srcStride(src), dstStride(dst), reluEn(relu) {}
    FixpipeParamsV220(std::uint16_t columns, std::uint16_t rows, std::uint16_t src,
                      std::uint32_t dst, bool relu, QuantMode_t quantization, std::int64_t scalar,
                      std::uint16_t matrices, std::uint16_t src_matrix, std::uint16_t dst_matrix,
                      std::uint8_t unit, bool splits_channels = false)
        : nSize(columns),
          mSize(rows),
          srcStride(src),
          dstStride(dst),
          quantPre(quantization),
          deqScalar(static_cast<std::uint64_t>(scalar)),
          ndNum(matrices),
          srcNdStride(src_matrix),
          dstNdStride(dst_matrix),
          reluEn(relu),
          unitFlag(unit),
          isChannelSplit(splits_channels) {}
    std::uint16_t nSize = 0;
    std::uint16_t mSize = 0;
    std::uint16_t srcStride = 0;  // rows of a group of 16 columns in L0C
    std::uint32_t dstStride = 0;  // elements from row to row; with NZ, 32 bytes from group to group
    QuantMode_t quantPre = NoQuant;
    std::uint64_t deqScalar = 0;
    std::uint16_t ndNum = 1;
    std::uint16_t srcNdStride = 0;
    std::uint16_t dstNdStride = 0;
    bool reluEn = false;
    std::uint8_t unitFlag = 0;
    bool isChannelSplit = false;
};
using FixpipeParams = FixpipeParamsV220;

}  // namespace AscendC

namespace aicore {

using AscendC::FixpipeParamsV220;

/// The factor of a word of quantization: the bits of a float, of which the unit takes the upper 19.
inline float scale_of(std::uint64_t word) {
    const auto bits = static_cast<std::uint32_t>(word & 0xFFFFE000);
    float factor = 0;
    std::memcpy(&factor, &bits, sizeof factor);
    return factor;
}

constexpr bool is_quantized(QuantMode_t mode) {
    return mode != NoQuant && mode != F322F16 && mode != F322BF16;
}
constexpr bool has_vector(QuantMode_t mode) {
    return mode == VDEQF16 || mode == VREQ8 || mode == VQF322B8_PRE || mode == VQF322F32_PRE ||
           mode == VQS322BF16_PRE;
}
constexpr bool is_known(QuantMode_t mode) {
    return mode == NoQuant || mode == F322F16 || mode == F322BF16 || mode == DEQF16 ||
           mode == VDEQF16 || mode == REQ8 || mode == VREQ8 || mode == QF322B8_PRE ||
           mode == VQF322B8_PRE || mode == QF322F32_PRE || mode == VQF322F32_PRE ||
           mode == QS322BF16_PRE || mode == VQS322BF16_PRE;
}

/// An element of L0C on its way out.
template <class T, class U>
T fixed(U value, const FixpipeParamsV220& params, const std::uint64_t* factors,
        std::uint32_t column) {
    if constexpr (std::is_same_v<T, U>) {
        if (!is_quantized(params.quantPre)) {
            return params.reluEn && value < 0 ? U(0) : value;
        }
    }
    float scaled = static_cast<float>(value);
    if (is_quantized(params.quantPre)) {
        scaled *= scale_of(factors != nullptr ? factors[column] : params.deqScalar);
    }
    scaled = params.reluEn && scaled < 0 ? 0 : scaled;
    return nearest<T>(scaled);
}

template <class T, class U>
void check_fixpipe(const FixpipeParamsV220& params, bool has_factors, Site site) {
    if (!is_known(params.quantPre)) {
        core->end("unsupported",
                  "Fixpipe: this quantPre is not emulated, got " + std::to_string(params.quantPre),
                  site);
    }
    core->require(params.quantPre != NoQuant || std::is_same_v<T, U>, "dtype",
                  "Fixpipe: quantPre must name the conversion to the result's type", site);
    core->require(has_vector(params.quantPre) == has_factors, "quantization",
                  "Fixpipe: a quantPre with a vector needs cbufWorkspace, and the others none",
                  site);
}

/// Each row, or each group of columns, of each matrix: `put(byte offset, values, count)`.
template <class T, class U, class Put>
void fixpipe(const Instruction& instruction, const LocalTensor<U>& from,
             const FixpipeParamsV220& params, const std::uint64_t* factors, bool to_nz, Put put) {
    const std::uint32_t groups = (params.nSize + 15U) / 16;
    const std::uint32_t matrices = to_nz || params.ndNum == 0 ? 1 : params.ndNum;
    for (std::uint32_t matrix = 0; matrix < matrices; ++matrix) {
        const std::uint64_t begin = std::uint64_t{matrix} * params.srcNdStride * 256;
        for (std::uint32_t group = 0; group < groups; ++group) {
            from.use(instruction,
                     (begin + std::uint64_t{group} * params.srcStride * 16) * sizeof(U),
                     std::uint64_t{params.mSize} * 16 * sizeof(U), false);
        }
        const auto element = [&](std::uint32_t row, std::uint32_t column) {
            const U value =
                from.data()[begin + (column / 16 * params.srcStride + row) * 16 + column % 16];
            return fixed<T, U>(value, params, factors, column);
        };
        if (!to_nz) {
            std::vector<T> values(params.nSize);
            for (std::uint32_t row = 0; row < params.mSize; ++row) {
                for (std::uint32_t column = 0; column < params.nSize; ++column) {
                    values[column] = element(row, column);
                }
                put((std::uint64_t{matrix} * params.dstNdStride +
                     std::uint64_t{row} * params.dstStride) *
                        sizeof(T),
                    values.data(), params.nSize);
            }
            continue;
        }
        const std::uint32_t width = sizeof(T) == 1                            ? 32
                                    : params.isChannelSplit && sizeof(T) == 4 ? 8
                                                                              : 16;
        for (std::uint32_t first = 0; first < params.nSize; first += width) {
            std::vector<T> values(std::size_t{params.mSize} * width);
            for (std::uint32_t index = 0; index < values.size(); ++index) {
                const std::uint32_t column = first + index % width;
                values[index] = column < groups * 16 ? element(index / width, column) : T(0);
            }
            put(std::uint64_t{first / width} * params.dstStride * 32, values.data(),
                static_cast<std::uint32_t>(values.size()));
        }
    }
}

inline Instruction fixpipe_at(Site site) { return {"Fixpipe", Pipe::fix, site}; }

template <class T, class U>
void fixpipe_out(const Instruction& instruction, const AscendC::GlobalTensor<T>& to,
                 const LocalTensor<U>& from, const FixpipeParamsV220& params,
                 const std::uint64_t* factors, bool to_nz) {
    check_fixpipe<T, U>(params, factors != nullptr, instruction.site);
    fixpipe<T>(instruction, from, params, factors, to_nz,
               [&](std::uint64_t offset, const T* values, std::uint32_t count) {
                   void* const target = core->global(
                       instruction, reinterpret_cast<const std::uint8_t*>(to.GetPhyAddr()) + offset,
                       count * sizeof(T), true);
                   core->store_global(target, values, count * sizeof(T), element_of<T>());
               });
}
template <class T, class U>
void fixpipe_in(const Instruction& instruction, const LocalTensor<T>& to,
                const LocalTensor<U>& from, const FixpipeParamsV220& params,
                const std::uint64_t* factors, bool to_nz) {
    check_fixpipe<T, U>(params, factors != nullptr, instruction.site);
    fixpipe<T>(instruction, from, params, factors, to_nz,
               [&](std::uint64_t offset, const T* values, std::uint32_t count) {
                   to.use(instruction, offset, count * sizeof(T), true);
                   std::memcpy(bytes_at(to, offset), values, count * sizeof(T));
               });
}

/// The factors of each column, which lie in L1.
template <class S>
const std::uint64_t* factors_in(const Instruction& instruction, const LocalTensor<S>& workspace,
                                const FixpipeParamsV220& params) {
    static_assert(sizeof(S) == 8, "Fixpipe: cbufWorkspace must be a tensor of uint64_t");
    workspace.use(instruction, 0, std::uint64_t{params.nSize} * 8, false);
    return reinterpret_cast<const std::uint64_t*>(workspace.data());
}

}  // namespace aicore

namespace AscendC {

template <class T, class U, const FixpipeConfig& config = CFG_ROW_MAJOR>
void Fixpipe(const GlobalTensor<T>& dst, const LocalTensor<U>& src, const FixpipeParamsV220& params,
             aicore::Site site = aicore::Site::here()) {
    aicore::fixpipe_out(aicore::fixpipe_at(site), dst, src, params, nullptr,
                        config.format == CO2Layout::NZ);
}
template <class T, class U, const FixpipeConfig& config = CFG_ROW_MAJOR, class S>
void Fixpipe(const GlobalTensor<T>& dst, const LocalTensor<U>& src,
             const LocalTensor<S>& cbufWorkspace, const FixpipeParamsV220& params,
             aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction = aicore::fixpipe_at(site);
    aicore::fixpipe_out(instruction, dst, src, params,
                        aicore::factors_in(instruction, cbufWorkspace, params),
                        config.format == CO2Layout::NZ);
}
/// L0C to L1, always in the format NZ on dav-2201.
template <class T, class U, const FixpipeConfig& config = CFG_NZ>
void Fixpipe(const LocalTensor<T>& dst, const LocalTensor<U>& src, const FixpipeParamsV220& params,
             aicore::Site site = aicore::Site::here()) {
    aicore::fixpipe_in(aicore::fixpipe_at(site), dst, src, params, nullptr, true);
}
template <class T, class U, const FixpipeConfig& config = CFG_NZ, class S>
void Fixpipe(const LocalTensor<T>& dst, const LocalTensor<U>& src,
             const LocalTensor<S>& cbufWorkspace, const FixpipeParamsV220& params,
             aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction = aicore::fixpipe_at(site);
    aicore::fixpipe_in(instruction, dst, src, params,
                       aicore::factors_in(instruction, cbufWorkspace, params), true);
}

}  // namespace AscendC

// The registers of the DataCopy that leaves L0C, which public kernels set before it.
namespace AscendC {
struct DataCopyCO12DstParams {
    DataCopyCO12DstParams() = default;
    DataCopyCO12DstParams(std::uint16_t columns, std::uint16_t rows, std::uint32_t dst,
                          std::uint16_t src, QuantMode_t quantization, std::uint8_t relu,
                          bool splits_channels, bool to_rows)
        : nSize(columns),
          mSize(rows),
          dstStride(dst),
          srcStride(src),
          quantPre(quantization),
          reluPre(relu),
          channelSplit(splits_channels),
          nz2ndEn(to_rows) {}
    std::uint8_t sid = 0;
    std::uint16_t nSize = 0;
    std::uint16_t mSize = 0;
    std::uint32_t dstStride = 0;
    std::uint16_t srcStride = 0;
    std::uint8_t unitFlag = 0;
    std::uint8_t clipReluPre = 0;
    std::uint8_t eltWiseOp = 0;
    QuantMode_t quantPre = NoQuant;
    std::uint8_t reluPre = 0;
    bool channelSplit = false;
    bool nz2ndEn = false;
};

inline void SetFixpipeNz2ndFlag(std::uint16_t ndNum, std::uint16_t srcNdStride,
                                std::uint16_t dstNdStride) {
    aicore::core->fixpipe_matrices = ndNum;
    aicore::core->fixpipe_src_stride = srcNdStride;
    aicore::core->fixpipe_dst_stride = dstNdStride;
}
inline void SetFixpipePreQuantFlag(std::uint64_t config) { aicore::core->fixpipe_factor = config; }
/// The factors of each column for the DataCopy that follows, from L1 or the Fixpipe buffer.
template <class T>
void SetFixPipeConfig(const LocalTensor<T>& preTensor, bool /*isUnitFlag*/ = false) {
    aicore::core->fixpipe_factors = preTensor.address();
}

}  // namespace AscendC

namespace aicore {

inline FixpipeParamsV220 params_of(const AscendC::DataCopyCO12DstParams& params) {
    FixpipeParamsV220 made(params.nSize, params.mSize, params.srcStride, params.dstStride,
                           params.reluPre != 0);
    made.quantPre = params.quantPre;
    made.deqScalar = core->fixpipe_factor;
    made.ndNum = params.nz2ndEn ? core->fixpipe_matrices : std::uint16_t{1};
    made.srcNdStride = core->fixpipe_src_stride;
    made.dstNdStride = core->fixpipe_dst_stride;
    made.isChannelSplit = params.channelSplit;
    return made;
}
inline const std::uint64_t* factors_of(const FixpipeParamsV220& params) {
    return has_vector(params.quantPre)
               ? reinterpret_cast<const std::uint64_t*>(core->at(core->fixpipe_factors))
               : nullptr;
}

}  // namespace aicore

namespace AscendC {

/// L0C to global memory or to L1 by the registers' settings.
template <class T, class U>
void DataCopy(const GlobalTensor<T>& dst, const LocalTensor<U>& src,
              const DataCopyCO12DstParams& params, aicore::Site site = aicore::Site::here()) {
    const aicore::FixpipeParamsV220 made = aicore::params_of(params);
    aicore::fixpipe_out(aicore::fixpipe_at(site), dst, src, made, aicore::factors_of(made),
                        !params.nz2ndEn);
}
template <class T, class U>
void DataCopy(const LocalTensor<T>& dst, const LocalTensor<U>& src,
              const DataCopyCO12DstParams& params, aicore::Site site = aicore::Site::here()) {
    const aicore::FixpipeParamsV220 made = aicore::params_of(params);
    aicore::fixpipe_in(aicore::fixpipe_at(site), dst, src, made, aicore::factors_of(made), true);
}

}  // namespace AscendC
