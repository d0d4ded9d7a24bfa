// Normalisations and their gradients.
#include "emulator/aclnn/operation.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnTransformBiasRescaleQkv,        "_transform_bias_rescale_qkv",         Tensor, Tensor, Int, Out, Out, Out)
// clang-format on

namespace {

DType wide_dtype(const Tensor& x) {
    return x.dtype() == DType::float64 ? DType::float64 : DType::float32;
}

Tensor widened(const Tensor& tensor, DType dtype) {
    return tensor.defined() ? tensor.to(dtype) : tensor;
}

}  // namespace

ACLNN(aclnnMaskedScale, Tensor self, Tensor mask, float scale, Out out) {
    out = self * mask.to(self.dtype()) * scale;
}

ACLNN(aclnnLayerNorm, Tensor x, Ints shape, Optional<Tensor> weight, Optional<Tensor> bias,
      double eps, Out y, Optional<Out> mean, Optional<Out> rstd) {
    const TensorList found = aten_all("native_layer_norm", x, shape, weight, bias, eps);
    y = found[0];
    mean = found[1];
    rstd = found[2];
}
ACLNN(aclnnLayerNormBackward, Tensor grad, Tensor x, Ints shape, Tensor mean, Tensor rstd,
      Optional<Tensor> weight, Optional<Tensor> bias, Bools mask, Optional<Out> grad_x,
      Optional<Out> grad_weight, Optional<Out> grad_bias) {
    const DType wide = wide_dtype(x);
    const TensorList grads =
        aten_all("native_layer_norm_backward", grad.to(wide), x.to(wide), shape, mean.to(wide),
                 rstd.to(wide), widened(weight, wide), widened(bias, wide), mask);
    grad_x = grads[0];
    grad_weight = grads[1];
    grad_bias = grads[2];
}

// ATen updates the running statistics without declaring it, so they are passed in the dtype in
// which it computes.
ACLNN(aclnnBatchNorm, Tensor x, Optional<Tensor> weight, Optional<Tensor> bias,
      Optional<InOut> running_mean, Optional<InOut> running_var, bool training, double momentum,
      double eps, Out y, Out mean, Out rstd) {
    const DType wide = wide_dtype(x);
    const Tensor updated_mean = widened(running_mean.tensor, wide);
    const Tensor updated_var = widened(running_var.tensor, wide);
    const TensorList found =
        aten_all("native_batch_norm", x.to(wide), widened(weight, wide), widened(bias, wide),
                 updated_mean, updated_var, training, momentum, eps);
    running_mean = updated_mean;
    running_var = updated_var;
    y = found[0];
    if (training) {
        mean = found[1];
        rstd = found[2];
    }
}
ACLNN(aclnnBatchNormBackward, Tensor grad, Tensor x, Optional<Tensor> weight,
      Optional<Tensor> running_mean, Optional<Tensor> running_var, Optional<Tensor> mean,
      Optional<Tensor> rstd, bool training, double eps, Bools mask, Optional<Out> grad_x,
      Optional<Out> grad_weight, Optional<Out> grad_bias) {
    const DType wide = wide_dtype(x);
    const TensorList grads =
        aten_all("native_batch_norm_backward", grad.to(wide), x.to(wide), widened(weight, wide),
                 widened(running_mean, wide), widened(running_var, wide), widened(mean, wide),
                 widened(rstd, wide), training, eps, mask);
    grad_x = grads[0];
    grad_weight = grads[1];
    grad_bias = grads[2];
}
ACLNN(aclnnGroupNorm, Tensor x, Optional<Tensor> gamma, Optional<Tensor> beta, Int batch,
      Int channels, Int inner, Int groups, double eps, Out y, Out mean, Out rstd) {
    const TensorList found =
        aten_all("native_group_norm", x, gamma, beta, batch, channels, inner, groups, eps);
    y = found[0];
    mean = found[1];
    rstd = found[2];
}
ACLNN(aclnnGroupNormBackward, Tensor grad, Tensor x, Tensor mean, Tensor rstd,
      Optional<Tensor> gamma, Int batch, Int channels, Int inner, Int groups, Bools mask,
      Optional<Out> grad_x, Optional<Out> grad_gamma, Optional<Out> grad_beta) {
    const TensorList grads =
        aten_all("native_group_norm_backward", grad.contiguous(), x.contiguous(), mean, rstd, gamma,
                 batch, channels, inner, groups, mask);
    grad_x = grads[0];
    grad_gamma = grads[1];
    grad_beta = grads[2];
}

// The statistics of all ranks become those of the batch.
ACLNN(aclnnSyncBatchNormGatherStats, Tensor totalSum, Tensor totalSquareSum, Tensor sampleCount,
      InOut runningMean, InOut runningVar, float momentum, float eps, Out batchMean,
      Out batchInvstd) {
    const Tensor count = sampleCount.to_float().sum({0});
    const Tensor mean = totalSum.to_float().sum({0}) / count;
    const Tensor variance = totalSquareSum.to_float().sum({0}) / count - mean * mean;
    batchMean = mean;
    batchInvstd = aten("rsqrt", variance + eps);
    runningMean = runningMean.tensor.to_float() * (1 - momentum) + mean * momentum;
    runningVar =
        runningVar.tensor.to_float() * (1 - momentum) + variance * count / (count - 1.0) * momentum;
}
