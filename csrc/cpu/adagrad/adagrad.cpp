#include "cpu/adagrad/adagrad.h"

namespace ascend_ops {
namespace {

Problem check(const AdagradHyperparameters& h) {
    return first_of(check_step(h.step), check_not_negative("lr", h.lr),
                    check_not_negative("lr_decay", h.lr_decay),
                    check_not_negative("weight_decay", h.weight_decay),
                    check_not_negative("eps", h.eps));
}

AdagradCoefficients coefficients_of(const AdagradHyperparameters& h) {
    const double steps_before = static_cast<double>(h.step - 1);
    AdagradCoefficients c = {};
    c.step_size = static_cast<float>(h.lr / (1.0 + steps_before * h.lr_decay));
    c.eps = static_cast<float>(h.eps);
    c.weight_decay = static_cast<float>(h.weight_decay);
    c.has_weight_decay = c.weight_decay != 0.0f;
    c.grad_sign = h.maximize ? -1.0f : 1.0f;
    c.is_plain = !h.maximize && !c.has_weight_decay;
    return c;
}

}  // namespace

Problem plan_adagrad_step(const AdagradHyperparameters& hyperparameters, const DTypes& dtypes,
                          Isa isa, Plan* plan) {
    const Problem problem = check(hyperparameters);
    return problem.argument != nullptr
               ? problem
               : make_plan(Coefficients(coefficients_of(hyperparameters)), dtypes, isa,
                           Direction::step, Rounding{}, hyperparameters.step, plan);
}

}  // namespace ascend_ops
