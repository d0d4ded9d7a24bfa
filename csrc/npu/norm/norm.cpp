// layer_norm, rms_norm, add_rms_norm and their gradients on aclnn. ascend_ops/norm/ checks the
// arguments.
#include "npu/call/call.h"
#include "npu/call/outputs.h"
#include "npu/call/registration.h"

namespace ascend_ops {
namespace {

using aclnn::call;
using aclnn::make_empty;
using aclnn::make_empty_like;
using aclnn::sizes_of;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

ACLNN_FUNCTION(layer_norm_function, "aclnnLayerNorm")
ACLNN_FUNCTION(layer_norm_backward_function, "aclnnLayerNormBackward")
ACLNN_FUNCTION(rms_norm_function, "aclnnRmsNorm")
ACLNN_FUNCTION(rms_norm_backward_function, "aclnnRmsNormGrad")
ACLNN_FUNCTION(add_rms_norm_function, "aclnnAddRmsNorm")

/// Return the shape of the statistics: x's, with 1 for each of the last `count` dimensions.
std::vector<std::int64_t> statistics_sizes(const Tensor& x, std::size_t count) {
    std::vector<std::int64_t> sizes = sizes_of(x);
    for (std::size_t i = sizes.size() - count; i < sizes.size(); ++i) {
        sizes[i] = 1;
    }
    return sizes;
}

std::tuple<Tensor, Tensor, Tensor> layer_norm(const Tensor& x,
                                              const std::vector<std::int64_t>& normalized_shape,
                                              const std::optional<Tensor>& weight,
                                              const std::optional<Tensor>& bias, double eps) {
    const auto statistics = statistics_sizes(x, normalized_shape.size());
    Tensor y = make_empty_like(x);
    Tensor mean = make_empty(x, statistics, ScalarType::Float);
    Tensor rstd = make_empty(x, statistics, ScalarType::Float);
    call(layer_norm_function(), x, x, normalized_shape, weight, bias, eps, y, mean, rstd);
    return {y, mean, rstd};
}

Tensor gradient_of(const std::optional<Tensor>& parameter, const Tensor& like) {
    return parameter.has_value() ? make_empty_like(*parameter)
                                 : make_empty(like, {0}, like.scalar_type());
}

std::optional<Tensor> only_if(bool wanted, const Tensor& tensor) {
    return wanted ? std::optional<Tensor>(tensor) : std::nullopt;
}

std::tuple<Tensor, Tensor, Tensor> layer_norm_backward(
    const Tensor& grad, const Tensor& x, const std::vector<std::int64_t>& normalized_shape,
    const Tensor& mean, const Tensor& rstd, const std::optional<Tensor>& weight,
    const std::optional<Tensor>& bias) {
    Tensor grad_x = make_empty_like(x);
    Tensor grad_weight = gradient_of(weight, x);
    Tensor grad_bias = gradient_of(bias, x);
    const std::array<bool, 3> mask{true, weight.has_value(), bias.has_value()};
    call(layer_norm_backward_function(), x, grad, x, normalized_shape, mean, rstd, weight, bias,
         mask, grad_x, only_if(mask[1], grad_weight), only_if(mask[2], grad_bias));
    return {grad_x, grad_weight, grad_bias};
}

std::tuple<Tensor, Tensor> rms_norm(const Tensor& x, const Tensor& weight, double eps) {
    Tensor y = make_empty_like(x);
    Tensor rstd = make_empty(x, statistics_sizes(x, weight.dim()), ScalarType::Float);
    call(rms_norm_function(), x, x, weight, eps, y, rstd);
    return {y, rstd};
}

std::tuple<Tensor, Tensor> rms_norm_backward(const Tensor& grad, const Tensor& x,
                                             const Tensor& rstd, const Tensor& weight) {
    Tensor grad_x = make_empty_like(x);
    Tensor grad_weight = make_empty(x, sizes_of(weight), ScalarType::Float);
    call(rms_norm_backward_function(), x, grad, x, rstd, weight, grad_x, grad_weight);
    return {grad_x, grad_weight};
}

std::tuple<Tensor, Tensor, Tensor> add_rms_norm(const Tensor& x, const Tensor& residual,
                                                const Tensor& weight, double eps) {
    Tensor y = make_empty_like(x);
    Tensor rstd = make_empty(x, statistics_sizes(x, weight.dim()), ScalarType::Float);
    Tensor sum = make_empty_like(x);
    call(add_rms_norm_function(), x, x, residual, weight, eps, y, rstd, sum);
    return {y, rstd, sum};
}

std::vector<aclnn::Kernel> kernels() {
    return {
        {"layer_norm", layer_norm_function, TORCH_BOX(&layer_norm)},
        {"layer_norm_backward", layer_norm_backward_function, TORCH_BOX(&layer_norm_backward)},
        {"rms_norm", rms_norm_function, TORCH_BOX(&rms_norm)},
        {"rms_norm_backward", rms_norm_backward_function, TORCH_BOX(&rms_norm_backward)},
        {"add_rms_norm", add_rms_norm_function, TORCH_BOX(&add_rms_norm)},
    };
}

}  // namespace

ASCEND_OPS_FAMILY(norm, kernels)

}  // namespace ascend_ops
