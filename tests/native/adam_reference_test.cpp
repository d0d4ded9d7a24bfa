// Every kernel against the formula in double, within a bound derived from the kernel's roundings.
#include <algorithm>

#include "adam_fixture.h"

namespace adam_test {
namespace {

constexpr double u = 0x1p-24;  // half the distance from 1 to the next fp32: one rounding

/// A result in double, and the error of fp32 arithmetic before the result is stored.
struct Bounded {
    double value;
    double error;
};

struct Updated {
    Bounded param, exp_avg, exp_avg_sq;
};

// Each bound is a sum over the roundings in adam/formula.h: of the coefficient, the product and the
// sum; 1e-44 covers the roundings of subnormals.
Updated update(const AdamHyperparameters& h, double param, double grad, double m, double v) {
    const double l2_penalty = h.adamw_mode ? 0.0 : h.weight_decay;
    const double decay = h.adamw_mode ? 1.0 - h.lr * h.weight_decay : 1.0;
    const double t = static_cast<double>(h.step);
    const double correction1 = h.bias_correction ? 1.0 - std::pow(h.beta1, t) : 1.0;
    const double correction2 = h.bias_correction ? 1.0 - std::pow(h.beta2, t) : 1.0;
    const double c1 = 1.0 - h.beta1;
    const double c2 = 1.0 - h.beta2;

    const double scaled = (h.maximize ? -grad : grad) * h.grad_scale;
    const double g = scaled + l2_penalty * param;
    const double g_error =
        (l2_penalty == 0.0 ? 0.0 : u * (std::fabs(l2_penalty * param) + std::fabs(g))) +
        (h.grad_scale == 1.0 ? 0.0 : 2 * u * std::fabs(scaled));
    Updated out;
    out.exp_avg.value = h.beta1 * m + c1 * g;
    out.exp_avg.error =
        u * (std::fabs(h.beta1 * m) + 2 * std::fabs(c1 * g) + std::fabs(out.exp_avg.value)) +
        c1 * g_error + 1e-44;
    out.exp_avg_sq.value = h.beta2 * v + c2 * g * g;
    out.exp_avg_sq.error = u * (h.beta2 * v + 3 * c2 * g * g + out.exp_avg_sq.value) +
                           2 * c2 * std::fabs(g) * g_error + 1e-44;
    const double root = std::sqrt(out.exp_avg_sq.value / correction2);
    const double denom = root + h.eps;
    const double root_error =
        std::sqrt((out.exp_avg_sq.value + out.exp_avg_sq.error) / correction2) - root +
        2 * u * root;
    const double denom_error = root_error + u * (h.eps + denom);
    const double step = h.lr / correction1 / denom;
    out.param.value = param * decay - step * out.exp_avg.value;
    out.param.error = step * out.exp_avg.error +
                      step * std::fabs(out.exp_avg.value) * (2 * u + denom_error / denom) * 1.001 +
                      u * (2 * std::fabs(param * decay) + std::fabs(out.param.value)) + 1e-44;
    return out;
}

/// Checks that the stored number is the rounding of a number within the bound.
void check_element(const char* name, const Array& found, std::size_t i, const Bounded& wanted,
                   const AdamHyperparameters& h, Isa isa) {
    const double low = reference::round_to(found.dtype(), wanted.value - wanted.error);
    const double high = reference::round_to(found.dtype(), wanted.value + wanted.error);
    CHECK_MESSAGE(
        low <= found.get(i) && found.get(i) <= high,
        "%s %s[%zu] of %zu in %s: %a, not between %a and %a (adamw %d, bias correction %d, "
        "maximize %d, weight_decay %g, step %lld)",
        ascend_ops::isa_name(isa), name, i, found.count(), reference::name_of(found.dtype()),
        found.get(i), low, high, h.adamw_mode, h.bias_correction, h.maximize, h.weight_decay,
        static_cast<long long>(h.step));
}

void check_step(const AdamHyperparameters& h, const DTypes& dtypes, Isa isa, std::size_t count) {
    const Tensors before = random_tensors(dtypes, count, static_cast<std::uint32_t>(count));
    Tensors after = before;
    run(step_plan(h, dtypes, isa), after, 0, count);
    for (std::size_t i = 0; i < count; ++i) {
        const Updated wanted = update(h, before.params.get(i), before.grads.get(i),
                                      before.states[0].get(i), before.states[1].get(i));
        check_element("params", after.params, i, wanted.param, h, isa);
        check_element("exp_avg", after.states[0], i, wanted.exp_avg, h, isa);
        check_element("exp_avg_sq", after.states[1], i, wanted.exp_avg_sq, h, isa);
        if (dtypes.low_precision_params != DType::float32) {
            const double copy =
                reference::round_to(dtypes.low_precision_params, after.params.get(i));
            CHECK_MESSAGE(after.copies.get(i) == copy, "%s: copy [%zu] of %a is %a",
                          ascend_ops::isa_name(isa), i, after.params.get(i), after.copies.get(i));
        }
    }
}

TEST(step_is_the_formula_in_every_mode_and_dtype) {
    for (const Isa isa : isas()) {
        for (const DTypes& dtypes : all_dtypes()) {
            for (const AdamHyperparameters& h : all_modes()) {
                check_step(h, dtypes, isa, 129);
            }
        }
    }
}

TEST(step_is_the_formula_at_every_size) {
    AdamHyperparameters h;
    h.step = 3;
    for (const Isa isa : isas()) {
        for (const DTypes& dtypes : all_dtypes()) {
            for (const std::size_t count :
                 {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 20011}) {
                check_step(h, dtypes, isa, count);
            }
        }
    }
}

TEST(gradients_are_scaled) {
    for (const Isa isa : isas()) {
        for (const DTypes& dtypes : offload_dtypes()) {
            for (AdamHyperparameters h : all_modes()) {
                h.grad_scale = 0.3 / 1024;
                check_step(h, dtypes, isa, 37);
            }
        }
    }
}

TEST(beta_of_zero_and_eps_of_zero) {
    AdamHyperparameters h;
    h.beta1 = 0.0;
    h.beta2 = 0.0;
    h.eps = 0.0;
    for (const Isa isa : isas()) {
        check_step(h, DTypes{}, isa, 100);
    }
}

// With gradients of zero, the states stay zero and the update is 0 / eps.
TEST(zero_grads_change_nothing_but_by_decay) {
    AdamHyperparameters h;
    for (const Isa isa : isas()) {
        Tensors tensors(DTypes{}, 2, 37);
        for (std::size_t i = 0; i < 37; ++i) {
            tensors.params.set(i, 1.5);
        }
        run(step_plan(h, DTypes{}, isa), tensors, 0, 37);
        for (std::size_t i = 0; i < 37; ++i) {
            CHECK_MESSAGE(tensors.params.get(i) == 1.5, "%g", tensors.params.get(i));
            CHECK_MESSAGE(tensors.states[0].get(i) == 0.0, "%g", tensors.states[0].get(i));
            CHECK_MESSAGE(tensors.states[1].get(i) == 0.0, "%g", tensors.states[1].get(i));
        }
    }
}

}  // namespace
}  // namespace adam_test
