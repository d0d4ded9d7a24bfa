#include "cpu/adam/adam.h"

#include <cmath>

namespace ascend_ops {
namespace {

Problem check(const AdamHyperparameters& h) {
    return first_of(check_step(h.step), check_not_negative("lr", h.lr),
                    check_beta("beta1", h.beta1), check_beta("beta2", h.beta2),
                    check_not_negative("eps", h.eps),
                    check_not_negative("weight_decay", h.weight_decay),
                    check_not_negative("grad_scale", h.grad_scale));
}

void scale_grads(double grad_scale, bool maximize, AdamCoefficients* c) {
    c->grad_scale = static_cast<float>(maximize ? -grad_scale : grad_scale);
    c->is_plain = c->grad_scale == 1.0f && !c->has_l2_penalty;
}

AdamCoefficients coefficients_of(const AdamHyperparameters& h) {
    const double step = static_cast<double>(h.step);
    const double bias_correction1 = h.bias_correction ? 1.0 - std::pow(h.beta1, step) : 1.0;
    const double bias_correction2 = h.bias_correction ? 1.0 - std::pow(h.beta2, step) : 1.0;
    AdamCoefficients c = {};
    c.beta1 = static_cast<float>(h.beta1);
    c.one_minus_beta1 = static_cast<float>(1.0 - h.beta1);
    c.beta2 = static_cast<float>(h.beta2);
    c.one_minus_beta2 = static_cast<float>(1.0 - h.beta2);
    c.inverse_sqrt_bias_correction2 = static_cast<float>(1.0 / std::sqrt(bias_correction2));
    c.eps = static_cast<float>(h.eps);
    c.step_size = static_cast<float>(h.lr / bias_correction1);
    c.decay = h.adamw_mode ? static_cast<float>(1.0 - h.lr * h.weight_decay) : 1.0f;
    c.l2_penalty = h.adamw_mode ? 0.0f : static_cast<float>(h.weight_decay);
    c.has_l2_penalty = c.l2_penalty != 0.0f;
    scale_grads(h.grad_scale, h.maximize, &c);
    return c;
}

Problem check_rollback(const AdamHyperparameters& h) {
    const AdamCoefficients c = coefficients_of(h);
    if (c.beta1 == 0.0f) {
        return {"beta1", "be more than 0 for a rollback", h.beta1};
    }
    if (c.beta2 == 0.0f) {
        return {"beta2", "be more than 0 for a rollback", h.beta2};
    }
    if (c.decay == 0.0f) {
        return {"weight_decay", "differ from 1 / lr for a rollback", h.weight_decay};
    }
    return {};
}

}  // namespace

void set_grad_scale(double grad_scale, bool maximize, Plan* plan) {
    auto c = plan->coefficients.as<AdamCoefficients>();
    scale_grads(grad_scale, maximize, &c);
    plan->coefficients = Coefficients(c);
}

Problem plan_adam_step(const AdamHyperparameters& hyperparameters, const DTypes& dtypes, Isa isa,
                       Plan* plan) {
    const Problem problem = check(hyperparameters);
    return problem.argument != nullptr
               ? problem
               : make_plan(Coefficients(coefficients_of(hyperparameters)), dtypes, isa,
                           Direction::step, hyperparameters.rounding, hyperparameters.step, plan);
}

Problem plan_adam_rollback(const AdamHyperparameters& hyperparameters, const DTypes& dtypes,
                           Isa isa, Plan* plan) {
    const Problem problem = first_of(check(hyperparameters), check_rollback(hyperparameters));
    return problem.argument != nullptr
               ? problem
               : make_plan(Coefficients(coefficients_of(hyperparameters)), dtypes, isa,
                           Direction::rollback, Rounding{}, hyperparameters.step, plan);
}

}  // namespace ascend_ops
