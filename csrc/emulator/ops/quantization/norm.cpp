// RMS norms whose results are quantized.
#include "emulator/ops/checks.h"
#include "emulator/ops/quantization/quantized.h"
#include "emulator/ops/rms_norm.h"

using namespace ascend_emulator;

namespace {

/// x / scale + offset, or x * scale + offset.
Tensor scaled(const Tensor& x, const Tensor& scale, const Tensor& offset, bool divides) {
    const Tensor wide = scale.to_float();
    const Tensor values = divides ? x / wide : x * wide;
    return offset.defined() ? values + offset.to_float() : values;
}

/// A gamma of [1, n] belongs to the last dimension, too.
Tensor as_row(const Tensor& gamma) { return gamma.dim() == 2 ? gamma.reshape({-1}) : gamma; }

struct SummedAndNormed {
    Tensor sum;
    Tensor values;  // float32
    Tensor without_beta;
};

SummedAndNormed add_rms_norm(const Tensor& x1, const Tensor& x2, const Tensor& gamma,
                             const Tensor& beta, double eps) {
    const Tensor sum = rounded_sum(x1, x2);
    const Tensor normed = rms_norm(sum, gamma, eps).normed;
    return {sum, beta.defined() ? normed + beta.to_float() : normed, normed};
}

struct StaticQuantization {
    Tensor scale1;
    Tensor scale2;
    Tensor offset1;
    Tensor offset2;
    bool divides;

    void store(const Tensor& values, const Out& y1, const Out& y2) const {
        store_quantized(y1, scaled(values, scale1, offset1, divides));
        if (scale2.defined()) {
            store_quantized(y2, scaled(values, scale2, offset2, divides));
        }
    }
};

void check_axis(Int axis, const Tensor& x) {
    require(axis == -1 || axis == x.dim() - 1, "axis must be -1, got " + std::to_string(axis));
}

void dynamic_outputs(const Tensor& values, const Tensor& smooth, const Out& y, const Out& scale) {
    const Tensor input = smooth.defined() ? values * smooth.to_float() : values;
    const DynamicQuantized found = quantize_rows(input, y.tensor.dtype());
    store_quantized(y, found.values);
    scale = found.scale;
}

}  // namespace

ACLNN_CHECKED(aclnnAddRmsNormQuant, Tensor x1, Tensor x2, Tensor gamma, Tensor scale1,
              Optional<Tensor> scale2, Optional<Tensor> offset1, Optional<Tensor> offset2, Int axis,
              double eps, bool divides, Out y1, Optional<Out> y2, Out sum) {
    check_axis(axis, x1);
    const SummedAndNormed found = add_rms_norm(x1, x2, gamma, {}, eps);
    sum = found.sum;
    StaticQuantization{scale1, scale2, offset1, offset2, divides}.store(found.values, y1, y2);
}
ACLNN_CHECKED(aclnnAddRmsNormQuantV2, Tensor x1, Tensor x2, Tensor gamma, Tensor scale1,
              Optional<Tensor> scale2, Optional<Tensor> offset1, Optional<Tensor> offset2,
              Optional<Tensor> beta, Int axis, double eps, bool divides, Out y1, Optional<Out> y2,
              Out sum, Optional<Out> normed) {
    check_axis(axis, x1);
    const SummedAndNormed found = add_rms_norm(x1, x2, gamma, beta, eps);
    sum = found.sum;
    normed = found.without_beta;
    StaticQuantization{scale1, scale2, offset1, offset2, divides}.store(found.values, y1, y2);
}

ACLNN(aclnnAddRmsNormDynamicQuant, Tensor x1, Tensor x2, Tensor gamma, Optional<Tensor> smooth1,
      Optional<Tensor> smooth2, double eps, Out y1, Optional<Out> y2, Out sum, Out scale1,
      Optional<Out> scale2) {
    const SummedAndNormed found = add_rms_norm(x1, x2, gamma, {}, eps);
    sum = found.sum;
    dynamic_outputs(found.values, smooth1, y1, scale1);
    if (smooth1.defined() && smooth2.defined()) {
        dynamic_outputs(found.values, smooth2, y2, scale2);
    }
}
// Without a mask, the second output depends on both smooth scales.
ACLNN(aclnnAddRmsNormDynamicQuantV2, Tensor x1, Tensor x2, Tensor gamma, Optional<Tensor> smooth1,
      Optional<Tensor> smooth2, Optional<Tensor> beta, double eps, Bools mask, Optional<Out> y1,
      Optional<Out> y2, Out sum, Optional<Out> scale1, Optional<Out> scale2) {
    require(mask.empty() || mask.size() == 2,
            "outputMask must be null or have 2 elements, got " + std::to_string(mask.size()));
    const SummedAndNormed found = add_rms_norm(x1, x2, gamma, beta, eps);
    sum = found.sum;
    if (mask.empty() || mask[0]) {
        dynamic_outputs(found.values, smooth1, y1, scale1);
    }
    if (mask.empty() ? smooth1.defined() && smooth2.defined() : mask[1]) {
        dynamic_outputs(found.values, smooth2, y2, scale2);
    }
}

ACLNN(aclnnRmsNormQuant, Tensor x, Tensor gamma, Tensor beta, Tensor scale, Tensor offset,
      double eps, Out y) {
    const Tensor values = rms_norm(x, as_row(gamma), eps).normed + beta.to_float();
    store_quantized(y, scaled(values, scale, offset, true));
}
ACLNN(aclnnRmsNormQuantV3, Tensor x, Tensor gamma, Tensor scale, Optional<Tensor> offset,
      Optional<Tensor> beta, double eps, bool divides, bool output_rstd, Out y,
      Optional<Out> rstd) {
    const RmsNormed found = rms_norm(x, as_row(gamma), eps);
    const Tensor values = beta.defined() ? found.normed + beta.to_float() : found.normed;
    store_quantized(y, scaled(values, scale, offset, divides));
    if (output_rstd) {
        rstd = found.rstd;
    }
}
ACLNN(aclnnRmsNormDynamicQuant, Tensor x, Tensor gamma, Optional<Tensor> smooth,
      Optional<Tensor> beta, double eps, Unused<Int>, Out y, Out scale) {
    const Tensor normed = rms_norm(x, gamma, eps).normed;
    dynamic_outputs(beta.defined() ? normed + beta.to_float() : normed, smooth, y, scale);
}
ACLNN_CHECKED(aclnnRmsNormGradQuant, Tensor dy, Tensor x, Tensor rstd, Tensor gamma, Tensor scale,
              Optional<Tensor> offset, String mode, bool divides, Out dx, Out dgamma) {
    require(mode == "static", "quantMode must be static, got " + mode);
    const RmsNormGradients found = rms_norm_gradients(dy, x, rstd, gamma);
    store_quantized(dx, scaled(found.x, scale, offset, divides));
    dgamma = found.gamma;
}
