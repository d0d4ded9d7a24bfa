// One step of AdamW for many tensors, on aclnn. ascend_ops/fused_optimizers/ checks the arguments.
#include "npu/call/call.h"
#include "npu/call/registration.h"

namespace ascend_ops {
namespace {

using aclnn::call;
using torch::stable::Tensor;
using Tensors = std::vector<Tensor>;

// aclnnFusedAdamw updates all tensors in one call. aclnnApplyAdamWV2 updates one tensor; it has
// neither a gradient scale nor found_inf, and its hyperparameters are of type float.
ACLNN_FUNCTION(adamw_function, "aclnnFusedAdamw", "aclnnApplyAdamWV2")

/// `step` is the number of previous steps: both functions add 1 to it.
void fused_adamw(const Tensors& params, const Tensors& grads, const Tensors& exp_avgs,
                 const Tensors& exp_avg_sqs, const Tensor& step,
                 const std::optional<Tensor>& grad_scale, const std::optional<Tensor>& found_inf,
                 double lr, double beta1, double beta2, double weight_decay, double eps,
                 bool maximize) {
    constexpr bool amsgrad = false;
    if (params.empty()) {
        return;
    }
    if (adamw_function().version() == 0) {
        const Tensors steps(params.size(), step);
        call(adamw_function(), step, params, grads, exp_avgs, exp_avg_sqs, Tensors(), steps,
             grad_scale, found_inf, lr, beta1, beta2, weight_decay, eps, amsgrad, maximize);
        return;
    }
    const std::optional<Tensor> no_max_exp_avg_sq;
    for (std::size_t i = 0; i < params.size(); ++i) {
        call(adamw_function(), step, params[i], exp_avgs[i], exp_avg_sqs[i], no_max_exp_avg_sq,
             grads[i], step, static_cast<float>(lr), static_cast<float>(beta1),
             static_cast<float>(beta2), static_cast<float>(weight_decay), static_cast<float>(eps),
             amsgrad, maximize);
    }
}

std::vector<aclnn::Kernel> kernels() {
    return {{"fused_adamw_", adamw_function, TORCH_BOX(&fused_adamw)}};
}

}  // namespace

ASCEND_OPS_FAMILY(fused_optimizers, kernels)

}  // namespace ascend_ops
