// The cube unit: LoadData to L0, Mmad, and Fixpipe to global memory.
//
// L0A holds fractals of 16 rows of 32 bytes, row by row of fractals; L0B holds them transposed;
// L0C holds fractals of 16 x 16, column by column.
#pragma once

#include "ascendc/move.h"

enum QuantMode_t {
    NoQuant = 0,
    F322F16 = 1,
    VQF322HIF8_PRE = 2,
    QF322HIF8_PRE = 3,
    VDEQF16 = 4,
    DEQF16 = 5,
    F322BF16 = 16,
    VQF322B8_PRE = 24,
    QF322B8_PRE = 25,
    REQ8 = 26,
    VREQ8 = 27
};

namespace AscendC {

enum class CO2Layout : std::uint8_t { NZ, ROW_MAJOR, COLUMN_MAJOR };
struct FixpipeConfig {
    CO2Layout format;
};
constexpr FixpipeConfig CFG_NZ = {CO2Layout::NZ};
constexpr FixpipeConfig CFG_ROW_MAJOR = {CO2Layout::ROW_MAJOR};

struct LoadData2DParams {
    LoadData2DParams() = default;
    LoadData2DParams(std::uint16_t start, std::uint8_t repeats, std::uint16_t stride,
                     std::uint8_t reserved, std::uint16_t gap, bool transpose, std::uint8_t mode)
        : startIndex(start),
          repeatTimes(repeats),
          srcStride(stride),
          sid(reserved),
          dstGap(gap),
          ifTranspose(transpose),
          addrMode(mode) {}
    std::uint16_t startIndex = 0;
    std::uint8_t repeatTimes = 0;
    std::uint16_t srcStride = 0;
    std::uint8_t sid = 0;
    std::uint16_t dstGap = 0;
    bool ifTranspose = false;
    std::uint8_t addrMode = 0;
};

struct MmadParams {
    MmadParams() = default;
    MmadParams(std::uint16_t rows, std::uint16_t columns, std::uint16_t depth, std::uint8_t unit,
               bool source, bool initial)
        : m(rows),
          n(columns),
          k(depth),
          unitFlag(unit),
          cmatrixSource(source),
          cmatrixInitVal(initial) {}
    std::uint16_t m = 0;
    std::uint16_t n = 0;
    std::uint16_t k = 0;
    bool isBias = false;
    std::uint8_t unitFlag = 0;
    std::uint8_t fmOffset = 0;
    bool cmatrixSource = false;  // true: the bias is in BT
    bool cmatrixInitVal = true;  // true: begin with 0
};

struct FixpipeParamsV220 {
    FixpipeParamsV220() = default;
    FixpipeParamsV220(std::uint16_t columns, std::uint16_t rows, std::uint16_t src,
                      std::uint32_t dst, bool relu)
        : nSize(columns), mSize(rows), srcStride(src), dstStride(dst), reluEn(relu) {}
    std::uint16_t nSize = 0;
    std::uint16_t mSize = 0;
    std::uint16_t srcStride = 0;
    std::uint32_t dstStride = 0;
    QuantMode_t quantPre = NoQuant;
    std::uint64_t deqScalar = 0;
    std::uint16_t ndNum = 1;
    std::uint16_t srcNdStride = 0;
    std::uint16_t dstNdStride = 0;
    bool reluEn = false;
    std::uint8_t unitFlag = 0;
    bool isChannelSplit = false;
};

/// L1 to L0A or L0B, fractals of 512 bytes.
template <class T>
void LoadData(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LoadData2DParams& params,
              aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"LoadData", aicore::Pipe::mte1, site};
    dst.require_aligned(instruction, 512);
    constexpr std::uint32_t fractal = 512 / sizeof(T);
    constexpr std::uint32_t columns = 32 / sizeof(T);
    for (std::uint32_t repeat = 0; repeat < params.repeatTimes; ++repeat) {
        const std::uint32_t from = (params.startIndex + repeat * params.srcStride) * fractal;
        const std::uint32_t to = repeat * (1 + params.dstGap) * fractal;
        src.use(instruction, from * sizeof(T), 512, false);
        dst.use(instruction, to * sizeof(T), 512, true);
        for (std::uint32_t row = 0; row < 16; ++row) {
            for (std::uint32_t column = 0; column < columns; ++column) {
                dst.data()[to + row * columns + column] =
                    params.ifTranspose ? src.data()[from + column * columns + row]
                                       : src.data()[from + row * columns + column];
            }
        }
    }
}

}  // namespace AscendC

namespace aicore {

constexpr std::uint32_t fractal_side = 16;

inline std::uint32_t fractals(std::uint32_t elements, std::uint32_t side) {
    return (elements + side - 1) / side;
}

/// One fractal of the product: `result += first * second`, 16 x k0 by k0 x 16.
template <class C, class A, class B, std::uint32_t k0>
void multiply_fractal(C* result, const A* first, const B* second, std::uint32_t depth) {
    using Wide = std::conditional_t<std::is_integral_v<A>, std::int32_t, float>;
    for (std::uint32_t row = 0; row < fractal_side; ++row) {
        for (std::uint32_t column = 0; column < fractal_side; ++column) {
            Wide total = 0;
            for (std::uint32_t k = 0; k < depth; ++k) {
                total += static_cast<Wide>(widen(first[row * k0 + k])) *
                         static_cast<Wide>(widen(second[column * k0 + k]));
            }
            result[row * fractal_side + column] += static_cast<C>(total);
        }
    }
}

}  // namespace aicore

namespace AscendC {

/// `c = a @ b` or `c += a @ b` on fractals.
template <class C, class A, class B>
void Mmad(const LocalTensor<C>& dst, const LocalTensor<A>& fm, const LocalTensor<B>& filter,
          const MmadParams& params, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Mmad", aicore::Pipe::m, site};
    aicore::core->require(params.m <= 4095 && params.n <= 4095 && params.k <= 4095, "range",
                          "Mmad: m, n and k must be at most 4095", site);
    constexpr std::uint32_t k0 = 32 / sizeof(A);
    const std::uint32_t rows = aicore::fractals(params.m, 16);
    const std::uint32_t columns = aicore::fractals(params.n, 16);
    const std::uint32_t depth = aicore::fractals(params.k, k0);
    const std::uint64_t result_bytes = std::uint64_t{rows} * columns * 256 * sizeof(C);
    fm.use(instruction, 0, std::uint64_t{rows} * depth * 512, false);
    filter.use(instruction, 0, std::uint64_t{columns} * depth * 512, false);
    if (!params.cmatrixInitVal) {
        dst.use(instruction, 0, result_bytes, false);
    }
    dst.use(instruction, 0, result_bytes, true);
    for (std::uint32_t column = 0; column < columns; ++column) {
        for (std::uint32_t row = 0; row < rows; ++row) {
            C* const result = dst.data() + (column * rows + row) * 256;
            if (params.cmatrixInitVal) {
                std::fill_n(result, 256, C(0));
            }
            for (std::uint32_t step = 0; step < depth; ++step) {
                aicore::multiply_fractal<C, A, B, k0>(
                    result, fm.data() + (row * depth + step) * 16 * k0,
                    filter.data() + (step * columns + column) * 16 * k0,
                    std::min(k0, params.k - step * k0));
            }
        }
    }
}

/// L0C to rows in global memory, with the conversion of `quantPre`.
template <class T, class U, const FixpipeConfig& config = CFG_ROW_MAJOR>
void Fixpipe(const GlobalTensor<T>& dst, const LocalTensor<U>& src, const FixpipeParamsV220& params,
             aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Fixpipe", aicore::Pipe::fix, site};
    const bool rounds = params.quantPre == F322F16 || params.quantPre == F322BF16;
    if (params.quantPre != NoQuant && !rounds) {
        aicore::core->end("unsupported",
                          "Fixpipe: quantPre must be NoQuant, F322F16 or F322BF16 on the emulated "
                          "core, got " +
                              std::to_string(params.quantPre),
                          site);
    }
    aicore::core->require(rounds || std::is_same_v<T, U>, "dtype",
                          "Fixpipe: quantPre must name the conversion to the result's type", site);
    const std::uint32_t groups = aicore::fractals(params.nSize, 16);
    src.use(instruction, 0, std::uint64_t{groups} * params.srcStride * 16 * sizeof(U), false);
    for (std::uint32_t row = 0; row < params.mSize; ++row) {
        T values[4096];
        for (std::uint32_t column = 0; column < params.nSize; ++column) {
            const U value = src.data()[(column / 16 * params.srcStride + row) * 16 + column % 16];
            values[column % 4096] = static_cast<T>(params.reluEn && value < 0 ? U(0) : value);
        }
        void* const target = dst.use(instruction, std::uint64_t{row} * params.dstStride,
                                     params.nSize * sizeof(T), true);
        aicore::core->store_global(target, values, params.nSize * sizeof(T),
                                   aicore::element_of<T>());
    }
}

}  // namespace AscendC
