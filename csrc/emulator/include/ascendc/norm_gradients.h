// The gradient of LayerNorm: on rows of H elements in UB, in fp32, rounded once.
#pragma once

#include <vector>

#include "ascendc/normalization.h"

namespace aicore {

/// Rows of `pitch` elements, of which `count` are not padding.
struct NormRows {
    std::uint32_t rows;
    std::uint32_t pitch;
    std::uint32_t count;

    std::uint64_t size() const { return std::uint64_t{rows} * pitch; }
};

template <class Tiling>
NormRows norm_rows(const Instruction& instruction, const Tiling& tiling, std::uint32_t bytes) {
    const NormRows rows{tiling.bLength * tiling.sLength, tiling.hLength, tiling.originalHLength};
    core->require(rows.pitch * bytes % 32 == 0, "alignment",
                  "the last axis of a norm must be a multiple of 32 bytes", instruction.site);
    core->require(rows.count <= rows.pitch, "range",
                  "originalHLength of a norm's tiling must be at most hLength", instruction.site);
    return rows;
}

}  // namespace aicore

namespace AscendC {

struct LayerNormGradShapeInfo {
    DataFormat dataFormat = DataFormat::ND;
};

/// The gradient with respect to x, and `(x - mean) / sqrt(variance + epsilon)`.
template <class T, bool isReuseSource = false>
void LayerNormGrad(const LocalTensor<T>& outputPdX, const LocalTensor<T>& resForGamma,
                   const LocalTensor<T>& inputDy, const LocalTensor<T>& inputX,
                   const LocalTensor<T>& inputVariance, const LocalTensor<T>& inputMean,
                   const LocalTensor<T>& inputGamma,
                   const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, aicore::Given<T> epsilon,
                   const LayerNormGradTiling& tiling, const LayerNormGradShapeInfo& shape = {},
                   aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"LayerNormGrad", aicore::Pipe::v, site};
    if (shape.dataFormat != DataFormat::ND) {
        aicore::core->end("unsupported", "LayerNormGrad: the format must be ND", site);
    }
    const aicore::NormRows rows = aicore::norm_rows(instruction, tiling, sizeof(T));
    for (const LocalTensor<T>* from : {&inputDy, &inputX}) {
        from->use(instruction, 0, rows.size() * sizeof(T), false);
    }
    for (const LocalTensor<T>* from : {&inputVariance, &inputMean}) {
        from->use(instruction, 0, rows.rows * sizeof(T), false);
    }
    inputGamma.use(instruction, 0, rows.count * sizeof(T), false);
    outputPdX.use(instruction, 0, rows.size() * sizeof(T), true);
    resForGamma.use(instruction, 0, rows.size() * sizeof(T), true);
    std::vector<float> scaled(rows.count);  // dy * gamma
    std::vector<float> normed(rows.count);  // resForGamma
    for (std::uint32_t row = 0; row < rows.rows; ++row) {
        const std::size_t begin = std::size_t{row} * rows.pitch;
        const float mean = aicore::widen(inputMean.data()[row]);
        const float rstd =
            1 / std::sqrt(aicore::widen(inputVariance.data()[row]) + static_cast<float>(epsilon));
        float sum = 0;
        float product = 0;
        float centred = 0;
        for (std::uint32_t index = 0; index < rows.count; ++index) {
            scaled[index] = aicore::widen(inputDy.data()[begin + index]) *
                            aicore::widen(inputGamma.data()[index]);
            normed[index] = (aicore::widen(inputX.data()[begin + index]) - mean) * rstd;
            sum += scaled[index];
            product += scaled[index] * normed[index];
            centred += normed[index];
        }
        const auto count = static_cast<float>(rows.count);
        // The mean's own part of the gradient: `centred` is 0 up to rounding.
        const float of_mean = -sum + product * centred / count;
        for (std::uint32_t index = 0; index < rows.count; ++index) {
            const float value = scaled[index] * rstd - rstd * product * normed[index] / count +
                                rstd * of_mean / count;
            outputPdX.data()[begin + index] = static_cast<T>(value);
            resForGamma.data()[begin + index] = static_cast<T>(normed[index]);
        }
    }
}
template <class T, bool isReuseSource = false>
void LayerNormGrad(const LocalTensor<T>& outputPdX, const LocalTensor<T>& resForGamma,
                   const LocalTensor<T>& inputDy, const LocalTensor<T>& inputX,
                   const LocalTensor<T>& inputVariance, const LocalTensor<T>& inputMean,
                   const LocalTensor<T>& inputGamma, aicore::Given<T> epsilon,
                   const LayerNormGradTiling& tiling, const LayerNormGradShapeInfo& shape = {},
                   aicore::Site site = aicore::Site::here()) {
    LayerNormGrad<T, isReuseSource>(outputPdX, resForGamma, inputDy, inputX, inputVariance,
                                    inputMean, inputGamma, LocalTensor<std::uint8_t>(), epsilon,
                                    tiling, shape, site);
}

}  // namespace AscendC
