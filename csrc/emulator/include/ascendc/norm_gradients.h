// The gradient of LayerNorm: on rows of H elements in UB, in fp32, rounded once.
#pragma once

#include <cmath>

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

/// One row's gradient with respect to x, and `(x - mean) * rstd`.
template <class T>
void layer_norm_gradient(std::uint32_t count, float mean, float rstd, const T* dy, const T* x,
                         const T* gamma, T* dx, T* normed) {
    const auto scaled_at = [&](std::uint32_t i) { return widen(dy[i]) * widen(gamma[i]); };
    const auto normed_at = [&](std::uint32_t i) { return (widen(x[i]) - mean) * rstd; };
    float sum = 0;
    float product = 0;
    float centred = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        sum += scaled_at(i);
        product += scaled_at(i) * normed_at(i);
        centred += normed_at(i);
    }
    const auto elements = static_cast<float>(count);
    // The mean's own part of the gradient: `centred` is 0 up to rounding.
    const float of_mean = -sum + product * centred / elements;
    for (std::uint32_t i = 0; i < count; ++i) {
        const float scaled = scaled_at(i);
        const float value = normed_at(i);
        dx[i] = static_cast<T>(scaled * rstd - rstd * product * value / elements +
                               rstd * of_mean / elements);
        normed[i] = static_cast<T>(value);
    }
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
    for (std::uint32_t row = 0; row < rows.rows; ++row) {
        const std::size_t begin = std::size_t{row} * rows.pitch;
        const float variance = aicore::widen(inputVariance.data()[row]);
        aicore::layer_norm_gradient(rows.count, aicore::widen(inputMean.data()[row]),
                                    1 / std::sqrt(variance + static_cast<float>(epsilon)),
                                    inputDy.data() + begin, inputX.data() + begin,
                                    inputGamma.data(), outputPdX.data() + begin,
                                    resForGamma.data() + begin);
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
