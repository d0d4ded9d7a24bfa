// The parts of a batch norm over several devices: statistics of one, their union, and gradients.
// Channels are the second dimension. All compute in fp32.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace {

/// Every dimension but that of the channels.
IntList others(const Tensor& x) {
    IntList dims;
    for (Int i = 0; i < x.dim(); ++i) {
        if (i != 1) {
            dims.push_back(i);
        }
    }
    return dims;
}

/// A value per channel, in the rank of x.
Tensor spread(const Tensor& values, const Tensor& x) {
    IntList sizes(static_cast<std::size_t>(x.dim()), 1);
    sizes[1] = x.size(1);
    return values.to_float().reshape(sizes);
}

/// Move a running value toward a new one.
void move(const InOut& running, const Tensor& value, double momentum) {
    running = running.tensor.to_float() * (1 - momentum) + value * momentum;
}

}  // namespace

ACLNN(aclnnBatchNormStats, Tensor x, double eps, Out mean, Out invstd) {
    const TensorList found =
        aten_all("var_mean.correction", x.to_float(), others(x), Scalar{std::int64_t{0}});
    mean = found[1];
    invstd = aten("rsqrt", found[0] + eps);
}
ACLNN(aclnnBatchNormReduce, Tensor x, Out sum, Out square_sum) {
    const Tensor wide = x.to_float();
    sum = wide.sum(others(x));
    square_sum = (wide * wide).sum(others(x));
}

// mean and invstd are [devices, channels], and counts has the number of values of each.
ACLNN(aclnnBatchNormGatherStatsWithCounts, Tensor x, Tensor mean, Tensor invstd,
      Optional<InOut> running_mean, Optional<InOut> running_var, double momentum, double eps,
      Tensor counts, Out mean_all, Out invstd_all) {
    require(x.size(1) == mean.size(1), "mean must have as many channels as input");
    const Tensor count = aten("unsqueeze", counts.to_float().reshape({-1}), -1);
    const double total = count.sum({0}).item();
    const Tensor wide = mean.to_float();
    const Tensor std = aten("reciprocal", invstd.to_float());
    const Tensor center = (wide * count).sum({0}) / total;
    const Tensor distance = wide - center;
    const Tensor squares = ((std * std - eps + distance * distance) * count).sum({0});
    const Tensor var = squares / total;
    mean_all = center;
    invstd_all = aten("rsqrt", var + eps);
    if (running_mean.defined()) {
        move(running_mean, center, momentum);
    }
    if (running_var.defined()) {
        move(running_var, squares / (total - 1), momentum);
    }
}

ACLNN(aclnnBatchNormElemt, Tensor x, Optional<Tensor> weight, Optional<Tensor> bias, Tensor mean,
      Tensor invstd, Unused<double>, Out y) {
    Tensor normed = (x.to_float() - spread(mean, x)) * spread(invstd, x);
    normed = weight.defined() ? normed * spread(weight, x) : normed;
    y = bias.defined() ? normed + spread(bias, x) : normed;
}

ACLNN(aclnnBatchNormReduceBackward, Tensor grad, Tensor x, Tensor mean, Tensor invstd,
      Unused<Tensor>, bool wants_input, bool wants_weight, bool wants_bias, Optional<Out> sum_dy,
      Optional<Out> sum_dy_xmu, Optional<Out> grad_weight, Optional<Out> grad_bias) {
    const Tensor wide = grad.to_float();
    const Tensor sum = wide.sum(others(x));
    const Tensor product = (wide * (x.to_float() - spread(mean, x))).sum(others(x));
    if (wants_input) {
        sum_dy = sum;
        sum_dy_xmu = product;
    }
    if (wants_weight) {
        grad_weight = product * invstd.to_float();
    }
    if (wants_bias) {
        grad_bias = sum;
    }
}

// counter has the number of values of each device.
ACLNN(aclnnBatchNormElemtBackward, Tensor grad, Tensor x, Tensor mean, Tensor invstd,
      Optional<Tensor> weight, Tensor sum_dy, Tensor sum_dy_xmu, Tensor counter, Out grad_x) {
    const double total = counter.to_float().sum({}).item();
    const Tensor factor = spread(invstd, x);
    const Tensor centered = x.to_float() - spread(mean, x);
    Tensor found = (grad.to_float() - spread(sum_dy, x) / total -
                    centered * factor * factor * (spread(sum_dy_xmu, x) / total)) *
                   factor;
    grad_x = weight.defined() ? found * spread(weight, x) : found;
}
