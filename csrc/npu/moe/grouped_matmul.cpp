// grouped_matmul and the gradient of its weights on aclnn. Arguments are checked in
// ascend_ops/moe/grouped_matmul.py.
#include "npu/moe/moe.h"

namespace ascend_ops {
namespace {

using aclnn::call;
using aclnn::make_empty;

ACLNN_FUNCTION(function, "aclnnGroupedMatmulV5", "aclnnGroupedMatmulV4", "aclnnGroupedMatmulV3")

constexpr std::int64_t kOneOutput = 3;
constexpr std::int64_t kGroupsOfRows = 0;
constexpr std::int64_t kGroupsOfColumns = 2;
constexpr std::int64_t kEnds = 0;
constexpr std::int64_t kNoActivation = 0;

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
                 none, none, kOneOutput, group_type, kEnds, kNoActivation, no_tuning, outs, none,
                 none);
            break;
        case 1:
            call(found, x, xs, weights, biases, none, none, none, none, none, group_ends, none,
                 none, none, kOneOutput, group_type, kEnds, kNoActivation, outs, none, none);
            break;
        default:
            call(found, x, xs, weights, biases, none, none, none, none, group_ends, kOneOutput,
                 group_type, outs);
    }
}

Tensor grouped_matmul(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias,
                      const Tensor& group_ends) {
    Tensor y = make_empty(x, {x.size(0), weight.size(2)}, x.scalar_type());
    run(x, weight, bias, group_ends, kGroupsOfRows, y);
    return y;
}

Tensor grouped_matmul_weight_gradient(const Tensor& x_transposed, const Tensor& grad,
                                      const Tensor& group_ends) {
    Tensor gradient = make_empty(grad, {group_ends.size(0), x_transposed.size(0), grad.size(1)},
                                 grad.scalar_type());
    run(x_transposed, grad, std::nullopt, group_ends, kGroupsOfColumns, gradient);
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
