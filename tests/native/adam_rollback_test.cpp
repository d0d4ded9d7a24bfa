// A rollback recovers the tensors before the step, within a bound derived from the roundings.
#include <algorithm>
#include <cstring>
#include <limits>

#include "adam_fixture.h"

namespace adam_test {
namespace {

constexpr double u = 0x1p-24;

struct Element {
    double param, grad, exp_avg, exp_avg_sq;
};

Element element(const Tensors& tensors, std::size_t i) {
    return {tensors.params.get(i), tensors.grads.get(i), tensors.states[0].get(i),
            tensors.states[1].get(i)};
}

double half_spacing(const Array& array, double x) {
    return reference::spacing(array.dtype(), x) / 2;
}

struct Errors {
    double param, exp_avg, exp_avg_sq;
};

/// Returns how far the rollback of `after` may be from `before`: the states were rounded when they
/// were stored, the arithmetic is rounded to fp32, and dividing by a beta or by the decay factor
/// enlarges both errors.
Errors allowed(const AdamHyperparameters& h, const Tensors& tensors, const Element& before,
               const Element& after) {
    const double t = static_cast<double>(h.step);
    const double correction1 = h.bias_correction ? 1.0 - std::pow(h.beta1, t) : 1.0;
    const double correction2 = h.bias_correction ? 1.0 - std::pow(h.beta2, t) : 1.0;
    const double decay = h.adamw_mode ? 1.0 - h.lr * h.weight_decay : 1.0;
    const double c1 = 1.0 - h.beta1;
    const double c2 = 1.0 - h.beta2;
    const double m_stored = half_spacing(tensors.states[0], after.exp_avg);
    const double v_stored = half_spacing(tensors.states[1], after.exp_avg_sq);

    const double most = std::sqrt((after.exp_avg_sq + v_stored) / correction2) + h.eps;
    const double least =
        std::sqrt(std::max(after.exp_avg_sq - v_stored, 0.0) / correction2) + h.eps;
    const double ratio = (std::fabs(after.exp_avg) + m_stored) / least;
    const double moved = h.lr / correction1 * ratio;
    const double moved_error =
        h.lr / correction1 * (m_stored / least + ratio * (1.0 - least / most)) + 10 * u * moved;
    Errors errors;
    errors.param = (half_spacing(tensors.params, after.param) + moved_error +
                    4 * u * (std::fabs(after.param) + moved)) /
                       decay +
                   half_spacing(tensors.params, before.param);
    const double g_error = h.adamw_mode ? 0.0 : h.weight_decay * (errors.param + 4 * u * 2);
    const double g = std::fabs(before.grad) + (h.adamw_mode ? 0.0 : h.weight_decay * 2) + g_error;
    errors.exp_avg =
        (m_stored + c1 * g_error + 4 * u * (std::fabs(after.exp_avg) + c1 * g)) / h.beta1 +
        half_spacing(tensors.states[0], before.exp_avg);
    errors.exp_avg_sq =
        (v_stored + 2 * c2 * g * g_error + 4 * u * (after.exp_avg_sq + c2 * g * g)) / h.beta2 +
        half_spacing(tensors.states[1], before.exp_avg_sq);
    return errors;
}

void check_close(const char* name, double found, double wanted, double error, std::size_t i,
                 Isa isa) {
    CHECK_MESSAGE(std::fabs(found - wanted) <= error, "%s %s[%zu]: %a, not %a: %g off, allowed %g",
                  ascend_ops::isa_name(isa), name, i, found, wanted, std::fabs(found - wanted),
                  error);
}

void check_round_trip(const AdamHyperparameters& h, const DTypes& dtypes, Isa isa) {
    const std::size_t count = 203;
    const Tensors before = random_tensors(dtypes, count, 9);
    Tensors tensors = before;
    run(step_plan(h, dtypes, isa), tensors, 0, count);
    const Tensors after = tensors;
    run(rollback_plan(h, dtypes, isa), tensors, 0, count);
    for (std::size_t i = 0; i < count; ++i) {
        const Element wanted = element(before, i);
        const Element found = element(tensors, i);
        const Errors errors = allowed(h, tensors, wanted, element(after, i));
        check_close("params", found.param, wanted.param, errors.param, i, isa);
        check_close("exp_avg", found.exp_avg, wanted.exp_avg, errors.exp_avg, i, isa);
        check_close("exp_avg_sq", found.exp_avg_sq, wanted.exp_avg_sq, errors.exp_avg_sq, i, isa);
        CHECK_MESSAGE(found.exp_avg_sq >= 0.0, "%g", found.exp_avg_sq);
    }
}

TEST(rollback_undoes_a_step_in_every_mode_and_dtype) {
    for (const Isa isa : isas()) {
        for (const DTypes& dtypes : all_dtypes()) {
            for (const AdamHyperparameters& h : all_modes()) {
                check_round_trip(h, dtypes, isa);
            }
        }
    }
}

TEST(rollback_undoes_strong_decay) {
    AdamHyperparameters h;
    h.lr = 0.5;
    h.weight_decay = 1.5;  // params are quartered
    h.beta1 = 0.1;
    h.beta2 = 0.2;
    for (const Isa isa : isas()) {
        check_round_trip(h, DTypes{}, isa);
    }
}

// In fp32, the rollback of the first step recovers states of exactly zero.
TEST(rollback_of_the_first_step_gives_zero_states) {
    for (const Isa isa : isas()) {
        for (const AdamHyperparameters& h : all_modes()) {
            if (h.step != 1 || (!h.adamw_mode && h.weight_decay != 0.0)) {
                continue;  // Adam recovers params, and so its gradient, only to rounding
            }
            Tensors tensors = random_tensors(DTypes{}, 100, 4);
            for (std::size_t i = 0; i < 100; ++i) {
                tensors.states[0].set(i, 0.0);
                tensors.states[1].set(i, 0.0);
            }
            run(step_plan(h, DTypes{}, isa), tensors, 0, 100);
            run(rollback_plan(h, DTypes{}, isa), tensors, 0, 100);
            for (std::size_t i = 0; i < 100; ++i) {
                CHECK_MESSAGE(tensors.states[0].get(i) == 0.0, "%g", tensors.states[0].get(i));
                CHECK_MESSAGE(tensors.states[1].get(i) == 0.0, "%g", tensors.states[1].get(i));
            }
        }
    }
}

// 0.001 * 0.001^2 is less than half of fp16's smallest number: exp_avg_sq is stored as 0.
TEST(rollback_survives_a_square_too_small_for_fp16) {
    const DTypes dtypes = {DType::float16, DType::float16, DType::float16};
    for (const Isa isa : isas()) {
        Tensors tensors(dtypes, 2, 33);
        for (std::size_t i = 0; i < 33; ++i) {
            tensors.params.set(i, 1.0);
            tensors.grads.set(i, 0.001);
        }
        run(step_plan(AdamHyperparameters{}, dtypes, isa), tensors, 0, 33);
        CHECK_MESSAGE(tensors.states[1].get(0) == 0.0, "%g", tensors.states[1].get(0));
        CHECK_MESSAGE(tensors.params.get(0) < 1.0, "%g", tensors.params.get(0));
        run(rollback_plan(AdamHyperparameters{}, dtypes, isa), tensors, 0, 33);
        for (std::size_t i = 0; i < 33; ++i) {
            CHECK_MESSAGE(std::fabs(tensors.params.get(i) - 1.0) <= 0x1p-10, "%g",
                          tensors.params.get(i));
        }
    }
}

}  // namespace
}  // namespace adam_test
