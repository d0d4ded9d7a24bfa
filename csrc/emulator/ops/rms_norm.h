// The root mean square norm that several fused functions contain.
#pragma once

#include "emulator/aten/value.h"

namespace ascend_emulator {

struct RmsNormed {
    Tensor normed;
    Tensor rstd;
};

/// x / sqrt(mean(x^2) + eps) * gamma in float32, over the dimensions of gamma.
RmsNormed rms_norm(const Tensor& x, const Tensor& gamma, double eps);

/// x1 + x2, computed in float32 and rounded to the dtype of x1.
Tensor rounded_sum(const Tensor& x1, const Tensor& x2);

struct RmsNormGradients {
    Tensor x;
    Tensor gamma;
};
RmsNormGradients rms_norm_gradients(const Tensor& dy, const Tensor& x, const Tensor& rstd,
                                    const Tensor& gamma);

}  // namespace ascend_emulator
