// Optimizer steps.
#include <cmath>

#include "emulator/aclnn/operation.h"
#include "emulator/ops/adamw.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace ascend_emulator {

AdamW AdamW::after(double steps) const {
    AdamW next = *this;
    next.beta1_power = std::pow(beta1, steps + 1);
    next.beta2_power = std::pow(beta2, steps + 1);
    return next;
}

void AdamW::step(const Out& var, const Out& exp_avg, const Out& exp_avg_sq,
                 const Out& max_exp_avg_sq, const Tensor& grad) const {
    Tensor g = (maximize ? -grad : grad).to(var.tensor.dtype());
    if (decays_gradient) {
        g = g + var.tensor * weight_decay;
    }
    const double kept = decays_gradient ? 1 : 1 - lr * weight_decay;
    exp_avg = exp_avg.tensor * beta1 + g * (1 - beta1);
    exp_avg_sq = exp_avg_sq.tensor * beta2 + g * g * (1 - beta2);
    if (max_exp_avg_sq.defined()) {
        max_exp_avg_sq = aten("maximum", max_exp_avg_sq.tensor, exp_avg_sq.tensor);
    }
    const Tensor& second = max_exp_avg_sq.defined() ? max_exp_avg_sq.tensor : exp_avg_sq.tensor;
    const Tensor denom = aten("sqrt", second / (1 - beta2_power)) + eps;
    var = var.tensor * kept - exp_avg.tensor / (1 - beta1_power) / denom * lr;
}

}  // namespace ascend_emulator

ACLNN(aclnnApplyAdamW, InOut var, InOut exp_avg, InOut exp_avg_sq, Tensor beta1_power,
      Tensor beta2_power, Tensor lr, Tensor weight_decay, Tensor beta1, Tensor beta2, Tensor eps,
      Tensor grad, Optional<InOut> max_exp_avg_sq, bool amsgrad, bool maximize) {
    const AdamW adamw = {beta1_power.item(), beta2_power.item(), lr.item(),  weight_decay.item(),
                         beta1.item(),       beta2.item(),       eps.item(), maximize};
    adamw.step(var, exp_avg, exp_avg_sq, amsgrad ? max_exp_avg_sq : Out(), grad);
}

// `step` is the number of steps before this one, contrary to CANN's documentation.
ACLNN(aclnnApplyAdamWV2, InOut var, InOut exp_avg, InOut exp_avg_sq, Optional<InOut> max_exp_avg_sq,
      Tensor grad, Tensor step, float lr, float beta1, float beta2, float weight_decay, float eps,
      bool amsgrad, bool maximize) {
    const AdamW adamw = {0, 0, lr, weight_decay, beta1, beta2, eps, maximize};
    adamw.after(step.item()).step(var, exp_avg, exp_avg_sq, amsgrad ? max_exp_avg_sq : Out(), grad);
}

namespace {

struct FusedLists {
    const InOuts& params;
    const Tensors& grads;
    const InOuts& exp_avgs;
    const InOuts& exp_avg_sqs;
    const InOuts& max_exp_avg_sqs;
    const Tensors& steps;  // before this one, per parameter
    bool amsgrad;

    void check() const {
        const std::size_t count = params.tensors.size();
        for (const std::size_t size :
             {grads.size(), exp_avgs.tensors.size(), exp_avg_sqs.tensors.size(), steps.size(),
              amsgrad ? max_exp_avg_sqs.tensors.size() : count}) {
            require(size == count, "all lists must have the length of params, " +
                                       std::to_string(count) + ", got one of " +
                                       std::to_string(size));
        }
    }
    /// A gradient scale is divided out; nothing changes if found_inf is not 0.
    void update(const AdamW& adam, const Tensor& grad_scale, const Tensor& found_inf) const {
        check();
        if (found_inf.defined() && found_inf.item() != 0) {
            return;
        }
        const double scale = grad_scale.defined() ? grad_scale.item() : 1;
        for (std::size_t i = 0; i < grads.size(); ++i) {
            adam.after(steps[i].item())
                .step({params.tensors[i]}, {exp_avgs.tensors[i]}, {exp_avg_sqs.tensors[i]},
                      amsgrad ? Out{max_exp_avg_sqs.tensors[i]} : Out(), grads[i] / scale);
        }
    }
};

}  // namespace

#define FUSED_ADAM_PARAMETERS                                                                   \
    InOuts params, Tensors grads, InOuts exp_avgs, InOuts exp_avg_sqs,                          \
        Optional<InOuts> max_exp_avg_sqs, Tensors steps, Optional<Tensor> grad_scale,           \
        Optional<Tensor> found_inf, double lr, double beta1, double beta2, double weight_decay, \
        double eps, bool amsgrad, bool maximize
#define FUSED_ADAM(DECAYS_GRADIENT)                                                           \
    FusedLists{params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, steps, amsgrad}.update( \
        {0, 0, lr, weight_decay, beta1, beta2, eps, maximize, DECAYS_GRADIENT}, grad_scale,   \
        found_inf)

ACLNN(aclnnFusedAdamw, FUSED_ADAM_PARAMETERS) { FUSED_ADAM(false); }
ACLNN(aclnnFusedAdam, FUSED_ADAM_PARAMETERS) { FUSED_ADAM(true); }

// mode 1 decays the weights, mode 0 adds them to the gradient. `s` follows the parameters slowly.
ACLNN(aclnnApplyFusedEmaAdam, Tensor grad, InOut var, InOut m, InOut v, InOut s, Tensor step,
      double lr, double emaDecay, double beta1, double beta2, double eps, Int mode,
      bool biasCorrection, double weightDecay) {
    require(mode == 0 || mode == 1, "mode must be 0 or 1, got " + std::to_string(mode));
    const double steps = step.item();
    const double correction1 = biasCorrection ? 1 - std::pow(beta1, steps) : 1;
    const double correction2 = biasCorrection ? 1 - std::pow(beta2, steps) : 1;
    const Tensor wide = var.tensor.to_float();
    const Tensor g = mode == 0 ? grad.to_float() + wide * weightDecay : grad.to_float();
    const Tensor first = m.tensor.to_float() * beta1 + g * (1 - beta1);
    const Tensor second = v.tensor.to_float() * beta2 + g * g * (1 - beta2);
    const Tensor denom = aten("sqrt", second / correction2) + eps;
    Tensor update = first / correction1 / denom;
    update = mode == 1 ? update + wide * weightDecay : update;
    const Tensor moved = wide - update * lr;
    m = first;
    v = second;
    var = moved;
    s = s.tensor.to_float() * emaDecay + moved * (1 - emaDecay);
}
