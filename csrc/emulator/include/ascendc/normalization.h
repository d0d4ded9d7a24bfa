// LayerNorm and RmsNorm: on rows of H elements in UB, in fp32, rounded once.
#pragma once

#include "ascendc/vector_engine.h"
#include "kernel_tiling/kernel_tiling.h"

namespace aicore {

/// Normalize one row: subtract the mean if it is wanted, and divide by the root of the mean square.
struct RowMoments {
    float mean;
    float variance;
};
template <class T>
RowMoments moments_of(const T* row, std::uint32_t count, bool centred) {
    const auto n = static_cast<float>(count);
    float mean = 0;
    for (std::uint32_t index = 0; centred && index < count; ++index) {
        mean += widen(row[index]) / n;
    }
    float variance = 0;
    for (std::uint32_t index = 0; index < count; ++index) {
        const float difference = widen(row[index]) - mean;
        variance += difference * difference / n;
    }
    return {mean, variance};
}

}  // namespace aicore

namespace AscendC {

template <class T, bool isReuseSource = false>
void LayerNorm(const LocalTensor<T>& output, const LocalTensor<T>& outputMean,
               const LocalTensor<T>& outputVariance, const LocalTensor<T>& inputX,
               const LocalTensor<T>& gamma, const LocalTensor<T>& beta,
               const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, aicore::Given<T> epsilon,
               const LayerNormTiling& tiling, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"LayerNorm", aicore::Pipe::v, site};
    const std::uint32_t rows = tiling.bLength * tiling.sLength;
    const std::uint32_t pitch = tiling.hLength;
    const std::uint32_t count = tiling.originalHLength;
    inputX.use(instruction, 0, std::uint64_t{rows} * pitch * sizeof(T), false);
    gamma.use(instruction, 0, count * sizeof(T), false);
    beta.use(instruction, 0, count * sizeof(T), false);
    output.use(instruction, 0, std::uint64_t{rows} * pitch * sizeof(T), true);
    outputMean.use(instruction, 0, rows * sizeof(T), true);
    outputVariance.use(instruction, 0, rows * sizeof(T), true);
    for (std::uint32_t row = 0; row < rows; ++row) {
        const T* const from = inputX.data() + std::size_t{row} * pitch;
        T* const to = output.data() + std::size_t{row} * pitch;
        const aicore::RowMoments moments = aicore::moments_of(from, count, true);
        const float factor = 1 / std::sqrt(moments.variance + static_cast<float>(epsilon));
        for (std::uint32_t index = 0; index < count; ++index) {
            const float value = (aicore::widen(from[index]) - moments.mean) * factor;
            to[index] = static_cast<T>(value * aicore::widen(gamma.data()[index]) +
                                       aicore::widen(beta.data()[index]));
        }
        outputMean.data()[row] = static_cast<T>(moments.mean);
        outputVariance.data()[row] = static_cast<T>(moments.variance);
    }
}
template <class T, bool isReuseSource = false>
void LayerNorm(const LocalTensor<T>& output, const LocalTensor<T>& outputMean,
               const LocalTensor<T>& outputVariance, const LocalTensor<T>& inputX,
               const LocalTensor<T>& gamma, const LocalTensor<T>& beta, aicore::Given<T> epsilon,
               const LayerNormTiling& tiling, aicore::Site site = aicore::Site::here()) {
    LayerNorm<T>(output, outputMean, outputVariance, inputX, gamma, beta,
                 LocalTensor<std::uint8_t>(), epsilon, tiling, site);
}

template <class T, bool isBasicBlock = false>
void RmsNorm(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LocalTensor<T>& gamma,
             const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, aicore::Given<T> epsilon,
             const RmsNormTiling& tiling, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"RmsNorm", aicore::Pipe::v, site};
    const std::uint32_t rows = tiling.bLength * tiling.sLength;
    const std::uint32_t pitch = tiling.hLength;
    const std::uint32_t count = tiling.originalHLength;
    src.use(instruction, 0, std::uint64_t{rows} * pitch * sizeof(T), false);
    gamma.use(instruction, 0, count * sizeof(T), false);
    dst.use(instruction, 0, std::uint64_t{rows} * pitch * sizeof(T), true);
    for (std::uint32_t row = 0; row < rows; ++row) {
        const T* const from = src.data() + std::size_t{row} * pitch;
        T* const to = dst.data() + std::size_t{row} * pitch;
        const float square = aicore::moments_of(from, count, false).variance;
        const float factor = 1 / std::sqrt(square + static_cast<float>(epsilon));
        for (std::uint32_t index = 0; index < count; ++index) {
            to[index] = static_cast<T>(aicore::widen(from[index]) * factor *
                                       aicore::widen(gamma.data()[index]));
        }
    }
}
template <class T, bool isBasicBlock = false>
void RmsNorm(const LocalTensor<T>& dst, const LocalTensor<T>& src, const LocalTensor<T>& gamma,
             aicore::Given<T> epsilon, const RmsNormTiling& tiling,
             aicore::Site site = aicore::Site::here()) {
    RmsNorm<T>(dst, src, gamma, LocalTensor<std::uint8_t>(), epsilon, tiling, site);
}

}  // namespace AscendC
