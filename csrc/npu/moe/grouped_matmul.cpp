// grouped_matmul and the gradient of its weights on aclnn. ascend_ops/moe/ checks the arguments.
#include "npu/moe/moe.h"

namespace ascend_ops {
namespace {

using aclnn::call;
using aclnn::make_empty;

ACLNN_FUNCTION(function, "aclnnGroupedMatmulV5", "aclnnGroupedMatmulV4", "aclnnGroupedMatmulV3")

constexpr std::int64_t one_output = 3;
constexpr std::int64_t groups_of_rows = 0;
constexpr std::int64_t groups_of_columns = 2;
constexpr std::int64_t list_of_ends = 0;
constexpr std::int64_t no_activation = 0;

void run(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias,
         const Tensor& group_ends, std::int64_t group_type, const Tensor& out) {
    using Tensors = std::vector<Tensor>;
    const std::optional<Tensors> none;
    const std::optional<std::vector<std::int64_t>> no_tuning;
    const std::optional<Tensors> biases =
        bias.has_value() ? std::optional<Tensors>(Tensors{*bias}) : std::nullopt;
    const aclnn::Function& found = function();
    const Tensors xs{x};
    const Tensors weights{weight};
    const Tensors outs{out};
    switch (found.version()) {
        case 0:
            call(found, x, xs, weights, biases, none, none, none, none, none, group_ends, none,
                 none, none, one_output, group_type, list_of_ends, no_activation, no_tuning, outs,
                 none, none);
            break;
        case 1:
            call(found, x, xs, weights, biases, none, none, none, none, none, group_ends, none,
                 none, none, one_output, group_type, list_of_ends, no_activation, outs, none, none);
            break;
        default:
            call(found, x, xs, weights, biases, none, none, none, none, group_ends, one_output,
                 group_type, outs);
    }
}

Tensor grouped_matmul(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias,
                      const Tensor& group_ends) {
    Tensor y = make_empty(x, {x.size(0), weight.size(2)}, x.scalar_type());
    run(x, weight, bias, group_ends, groups_of_rows, y);
    return y;
}

Tensor grouped_matmul_weight_gradient(const Tensor& x_transposed, const Tensor& grad,
                                      const Tensor& group_ends) {
    Tensor gradient = make_empty(grad, {group_ends.size(0), x_transposed.size(0), grad.size(1)},
                                 grad.scalar_type());
    run(x_transposed, grad, std::nullopt, group_ends, groups_of_columns, gradient);
    return gradient;
}

}  // namespace

std::vector<aclnn::Kernel> grouped_matmul_kernels() {
    return {
        {"grouped_matmul", function, TORCH_BOX(&grouped_matmul)},
        {"grouped_matmul_weight_gradient", function, TORCH_BOX(&grouped_matmul_weight_gradient)},
    };
}

}  // namespace ascend_ops
