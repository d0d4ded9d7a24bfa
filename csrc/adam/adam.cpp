#include "adam.h"

#include <cfloat>
#include <cmath>
#include <initializer_list>

#include "adam_kernels.h"

namespace ascend_ops {
namespace {

const AdamKernels* const kernels_of_isa[isa_count] = {&adam_kernels_scalar, &adam_kernels_avx2,
                                                      &adam_kernels_avx512, &adam_kernels_neon};

bool finite_in_float(double value) { return std::fabs(value) <= FLT_MAX; }  // false for NaN

AdamProblem check_not_negative(const char* argument, double value) {
    if (finite_in_float(value) && value >= 0.0) {
        return {};
    }
    return {argument, "a finite number, 0 or more", value};
}

AdamProblem check_beta(const char* argument, double value) {
    if (value >= 0.0 && value < 1.0) {
        return {};
    }
    return {argument, "0 or more and less than 1", value};
}

AdamProblem check(const AdamHyperparameters& h) {
    if (h.step < 1) {
        return {"step", "1 or more", static_cast<double>(h.step)};
    }
    for (const AdamProblem& problem :
         {check_not_negative("lr", h.lr), check_beta("beta1", h.beta1),
          check_beta("beta2", h.beta2), check_not_negative("eps", h.eps),
          check_not_negative("weight_decay", h.weight_decay)}) {
        if (problem.argument != nullptr) {
            return problem;
        }
    }
    return {};
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
    c.grad_sign = h.maximize ? -1.0f : 1.0f;
    return c;
}

AdamProblem plan_adam(const AdamHyperparameters& hyperparameters, const AdamDTypes& dtypes, Isa isa,
                      bool rollback, AdamPlan* plan) {
    const AdamProblem problem = check(hyperparameters);
    if (problem.argument != nullptr) {
        return problem;
    }
    if (!cpu_supports(isa)) {
        return {"isa", "one that this CPU has", static_cast<double>(isa)};
    }
    const AdamKernels& kernels = *kernels_of_isa[static_cast<int>(adam_isa(isa))];
    const auto& table = rollback ? kernels.rollback : kernels.step;
    const AdamKernel kernel = table[static_cast<int>(dtypes.params)][static_cast<int>(dtypes.grads)]
                                   [static_cast<int>(dtypes.states)];
    if (kernel == nullptr) {
        return {"dtypes", "grads and states each in fp32 or in the params' dtype", 0.0};
    }
    *plan = {kernel, coefficients_of(hyperparameters)};
    return {};
}

}  // namespace

Isa adam_isa(Isa isa) {
    const auto compiled = [](Isa candidate) {
        return kernels_of_isa[static_cast<int>(candidate)]->step[0][0][0] != nullptr;
    };
    if (compiled(isa)) {
        return isa;
    }
    return isa == Isa::avx512 && compiled(Isa::avx2) ? Isa::avx2 : Isa::scalar;
}

AdamProblem plan_adam_step(const AdamHyperparameters& hyperparameters, const AdamDTypes& dtypes,
                           Isa isa, AdamPlan* plan) {
    return plan_adam(hyperparameters, dtypes, isa, false, plan);
}

AdamProblem plan_adam_rollback(const AdamHyperparameters& hyperparameters, const AdamDTypes& dtypes,
                               Isa isa, AdamPlan* plan) {
    AdamPlan candidate;
    const AdamProblem problem = plan_adam(hyperparameters, dtypes, isa, true, &candidate);
    if (problem.argument != nullptr) {
        return problem;
    }
    if (candidate.coefficients.beta1 == 0.0f) {
        return {"beta1", "more than 0 to roll back", hyperparameters.beta1};
    }
    if (candidate.coefficients.beta2 == 0.0f) {
        return {"beta2", "more than 0 to roll back", hyperparameters.beta2};
    }
    if (candidate.coefficients.decay == 0.0f) {
        return {"weight_decay", "lr * weight_decay other than 1 to roll back",
                hyperparameters.weight_decay};
    }
    *plan = candidate;
    return {};
}

}  // namespace ascend_ops
