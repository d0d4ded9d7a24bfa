#include "cpu/lion/lion.h"

namespace ascend_ops {
namespace {

Problem check(const LionHyperparameters& h) {
    return first_of(check_not_negative("lr", h.lr), check_beta("beta1", h.beta1),
                    check_beta("beta2", h.beta2),
                    check_not_negative("weight_decay", h.weight_decay));
}

LionCoefficients coefficients_of(const LionHyperparameters& h) {
    LionCoefficients c = {};
    c.beta1 = static_cast<float>(h.beta1);
    c.one_minus_beta1 = static_cast<float>(1.0 - h.beta1);
    c.beta2 = static_cast<float>(h.beta2);
    c.one_minus_beta2 = static_cast<float>(1.0 - h.beta2);
    c.lr = static_cast<float>(h.lr);
    c.decay = static_cast<float>(1.0 - h.lr * h.weight_decay);
    c.grad_sign = h.maximize ? -1.0f : 1.0f;
    c.is_plain = !h.maximize;
    return c;
}

}  // namespace

Problem plan_lion_step(const LionHyperparameters& hyperparameters, const DTypes& dtypes, Isa isa,
                       Plan* plan) {
    const Problem problem = check(hyperparameters);
    return problem.argument != nullptr
               ? problem
               : make_plan(Coefficients(coefficients_of(hyperparameters)), dtypes, isa,
                           Direction::step, Rounding{}, 1, plan);
}

}  // namespace ascend_ops
