// RMS norms, with an addition before and a cast after.
#include "emulator/ops/rms_norm.h"

#include "emulator/aclnn/operation.h"

using namespace ascend_emulator;

namespace {

/// The indices of the last `count` dimensions of x, and of those before them.
struct Dimensions {
    Dimensions(const Tensor& x, Int count) {
        for (Int i = 0; i < x.dim(); ++i) {
            (i < x.dim() - count ? outer : inner).push_back(i);
        }
    }
    IntList outer;
    IntList inner;
};

Tensor mean_over(const Tensor& x, const IntList& dims) { return aten("mean.dim", x, dims, true); }

}  // namespace

namespace ascend_emulator {

RmsNormed rms_norm(const Tensor& x, const Tensor& gamma, double eps) {
    const Tensor wide = x.to_float();
    const Dimensions dims(x, gamma.dim());
    const Tensor rstd = aten("rsqrt", mean_over(wide * wide, dims.inner) + eps);
    return {wide * rstd * gamma.to_float(), rstd};
}

Tensor rounded_sum(const Tensor& x1, const Tensor& x2) {
    return (x1.to_float() + x2.to_float()).to(x1.dtype());
}

RmsNormGradients rms_norm_gradients(const Tensor& dy, const Tensor& x, const Tensor& rstd,
                                    const Tensor& gamma) {
    const Tensor grad = dy.to_float();
    const Dimensions dims(x, gamma.dim());
    const Tensor normed = x.to_float() * rstd;
    const Tensor weighted = grad * gamma.to_float();
    return {rstd * (weighted - normed * mean_over(weighted * normed, dims.inner)),
            dims.outer.empty() ? grad * normed : (grad * normed).sum(dims.outer)};
}

}  // namespace ascend_emulator

ACLNN(aclnnRmsNorm, Tensor x, Tensor gamma, double eps, Out y, Out rstd) {
    const RmsNormed found = rms_norm(x, gamma, eps);
    y = found.normed;
    rstd = found.rstd;
}
// Gemma stores gamma - 1.
ACLNN(aclnnGemmaRmsNorm, Tensor x, Tensor gamma, double eps, Out y, Out rstd) {
    const RmsNormed found = rms_norm(x, gamma.to_float() + 1.0, eps);
    y = found.normed;
    rstd = found.rstd;
}
ACLNN(aclnnAddRmsNorm, Tensor x1, Tensor x2, Tensor gamma, double eps, Out y, Out rstd, Out sum) {
    const Tensor added = rounded_sum(x1, x2);
    const RmsNormed found = rms_norm(added, gamma, eps);
    y = found.normed;
    rstd = found.rstd;
    sum = added;
}
// The sum is not rounded before the norm, unlike in aclnnAddRmsNorm.
ACLNN(aclnnAddRmsNormCast, Tensor x1, Tensor x2, Tensor gamma, double eps, Out y1, Out y2, Out rstd,
      Out sum) {
    const Tensor added = x1.to_float() + x2.to_float();
    const RmsNormed found = rms_norm(added, gamma, eps);
    y1 = found.normed;
    y2 = found.normed;
    rstd = found.rstd;
    sum = added;
}
ACLNN(aclnnInplaceAddRmsNorm, InOut x1, InOut x2, Tensor gamma, double eps, Out rstd) {
    const Tensor added = rounded_sum(x1.tensor, x2.tensor);
    const RmsNormed found = rms_norm(added, gamma, eps);
    x1 = found.normed;
    x2 = added;
    rstd = found.rstd;
}
ACLNN(aclnnRmsNormGrad, Tensor dy, Tensor x, Tensor rstd, Tensor gamma, Out dx, Out dgamma) {
    const RmsNormGradients found = rms_norm_gradients(dy, x, rstd, gamma);
    dx = found.x;
    dgamma = found.gamma;
}
