// The cube unit: LoadData to L0 and Mmad.
//
// L0A holds fractals of 16 rows of 32 bytes, row by row of fractals; L0B holds them transposed;
// L0C holds fractals of 16 x 16, column by column.
#pragma once

#include "ascendc/cube_load.h"
#include "ascendc/fixpipe.h"
#include "ascendc/move.h"

namespace AscendC {

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
    MmadParams(std::uint16_t rows, std::uint16_t columns, std::uint16_t depth, bool bias,
               std::int32_t offset, bool sparse, bool winograd_a, bool winograd_b)
        : m(rows),
          n(columns),
          k(depth),
          isBias(bias),
          enSsparse(sparse),
          enWinogradA(winograd_a),
          enWinogradB(winograd_b) {
        fmOffset = offset;
    }
    std::uint16_t m = 0;
    std::uint16_t n = 0;
    std::uint16_t k = 0;
    bool isBias = false;
    std::uint8_t unitFlag = 0;
    std::int32_t fmOffset = 0;
    bool enSsparse = false;
    bool enWinogradA = false;
    bool enWinogradB = false;
    bool kDirectionAlign = false;
    bool disableGemv = false;
    bool cmatrixSource = false;  // true: the bias is in BT
    bool cmatrixInitVal = true;  // true: begin with 0
};

using LoadData2dParams = LoadData2DParams;

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

/// `c = a @ b` or `c += a @ b` on fractals.
template <class C, class A, class B>
void multiply(const Instruction& instruction, const LocalTensor<C>& dst, const LocalTensor<A>& fm,
              const LocalTensor<B>& filter, const AscendC::MmadParams& params) {
    core->require(params.m <= 4095 && params.n <= 4095 && params.k <= 4095, "range",
                  "Mmad: m, n and k must be at most 4095", instruction.site);
    constexpr std::uint32_t k0 = 32 / sizeof(A);
    const std::uint32_t rows = fractals(params.m, 16);
    const std::uint32_t columns = fractals(params.n, 16);
    const std::uint32_t depth = fractals(params.k, k0);
    const std::uint64_t result_bytes = std::uint64_t{rows} * columns * 256 * sizeof(C);
    core->add_product(instruction, params.m, params.n, params.k, sizeof(A));
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
                multiply_fractal<C, A, B, k0>(result, fm.data() + (row * depth + step) * 16 * k0,
                                              filter.data() + (step * columns + column) * 16 * k0,
                                              std::min(k0, params.k - step * k0));
            }
        }
    }
}

}  // namespace aicore

namespace AscendC {

/// `c = a @ b` or `c += a @ b` on fractals.
template <class C, class A, class B>
void Mmad(const LocalTensor<C>& dst, const LocalTensor<A>& fm, const LocalTensor<B>& filter,
          const MmadParams& params, aicore::Site site = aicore::Site::here()) {
    aicore::multiply({"Mmad", aicore::Pipe::m, site}, dst, fm, filter, params);
}

/// `c = a @ b + bias`, with the bias of each column in BT.
template <class C, class A, class B, class Bias>
void Mmad(const LocalTensor<C>& dst, const LocalTensor<A>& fm, const LocalTensor<B>& filter,
          const LocalTensor<Bias>& bias, const MmadParams& params,
          aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Mmad", aicore::Pipe::m, site};
    const std::uint32_t rows = aicore::fractals(params.m, 16);
    const std::uint32_t columns = aicore::fractals(params.n, 16);
    bias.use(instruction, 0, params.n * sizeof(Bias), false);
    dst.use(instruction, 0, std::uint64_t{rows} * columns * 256 * sizeof(C), true);
    for (std::uint32_t column = 0; column < columns * 16; ++column) {
        const C value = column < params.n ? static_cast<C>(bias.data()[column]) : C(0);
        for (std::uint32_t row = 0; row < rows * 16; ++row) {
            dst.data()[(column / 16 * rows * 16 + row) * 16 + column % 16] = value;
        }
    }
    MmadParams adds = params;
    adds.cmatrixInitVal = false;
    aicore::multiply(instruction, dst, fm, filter, adds);
}

// HF32 rounds operands in fp32 on a device; the emulated cube unit keeps them.
inline void SetHF32Mode(bool /*enabled*/) {}
inline void SetHF32TransMode(bool /*nearest*/) {}
inline void SetMMLayoutTransform(bool /*columnMajor*/) {}
inline void SetMMColumnMajor() {}
inline void SetMMRowMajor() {}

}  // namespace AscendC
