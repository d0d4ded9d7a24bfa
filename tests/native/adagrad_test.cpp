// Adagrad's kernels: the formula within a bound, equal bits everywhere, and refused arguments.
#include "cpu/adagrad/adagrad.h"
#include "one_state_test.h"

namespace optimizer_test {
namespace {

struct Adagrad {
    using Hyperparameters = ascend_ops::AdagradHyperparameters;
    static constexpr int positive_state = 0;

    static Problem plan(const Hyperparameters& h, const DTypes& dtypes, Isa isa, Plan* plan) {
        return ascend_ops::plan_adagrad_step(h, dtypes, isa, plan);
    }

    static std::vector<Hyperparameters> modes() {
        return {{1, 0.01, 0.0, 0.0, 1e-10, false},
                {7, 0.1, 0.01, 0.1, 1e-6, true},
                {100, 0.1, 0.5, 0.0, 0.0, true}};
    }

    static Updated update(const Hyperparameters& h, double param, double grad, double sum) {
        const double penalty = h.weight_decay * param;
        const double g = (h.maximize ? -grad : grad) + penalty;
        const double g_error =
            h.weight_decay == 0.0 ? 0.0 : u * (std::fabs(penalty) + std::fabs(g));
        Bounded state = {sum + g * g, 0};
        state.error = u * state.value + 2.001 * std::fabs(g) * g_error + 1e-44;
        const double root = std::sqrt(state.value);
        const double denom = root + h.eps;
        const double denom_error =
            std::sqrt(state.value + state.error) - root + u * (root + h.eps + denom);
        const double clr = h.lr / (1 + static_cast<double>(h.step - 1) * h.lr_decay);
        const double change = denom == 0.0 ? 0.0 : clr * g / denom;
        Bounded updated = {param - change, 0};
        updated.error = (denom == 0.0 ? 0.0 : clr * g_error / denom) +
                        std::fabs(change) * (2 * u + denom_error / denom) * 1.001 +
                        u * std::fabs(updated.value) + 1e-44;
        return {updated, state};
    }
};

using Tests = OneStateTest<Adagrad>;

TEST(adagrad_is_the_formula) { Tests::step_is_the_formula(); }
TEST(isas_and_splits_do_not_matter) { Tests::isas_and_splits_do_not_matter(); }
TEST(nothing_outside_is_touched) { Tests::nothing_outside_the_range_is_touched(); }
TEST(threads_do_not_matter) { Tests::threads_do_not_matter(); }

TEST(bad_hyperparameters_are_refused_by_name) {
    using H = ascend_ops::AdagradHyperparameters;
    Tests::check_refused(&H::lr, "lr", {-1e-9, NAN, INFINITY, 1e39});
    Tests::check_refused(&H::lr_decay, "lr_decay", {-1e-9, NAN, INFINITY});
    Tests::check_refused(&H::weight_decay, "weight_decay", {-1e-9, NAN, INFINITY});
    Tests::check_refused(&H::eps, "eps", {-1e-9, NAN, INFINITY});
    H h;
    h.step = 0;
    Plan plan;
    CHECK_MESSAGE(
        ascend_ops::plan_adagrad_step(h, DTypes{}, Isa::scalar, &plan).argument != nullptr,
        "step 0 was accepted");
}

// 0 * infinity would be a NaN, which torch avoids too.
TEST(no_decay_of_an_infinite_param_gives_no_nan) {
    for (const Isa isa : isas()) {
        Tensors tensors = Tests::make(DTypes{}, 19, 1);
        tensors.params.set(2, INFINITY);
        run(Tests::plan(Adagrad::modes().front(), DTypes{}, isa), tensors, 0, 19);
        CHECK_MESSAGE(std::isfinite(tensors.states[0].get(2)), "%g", tensors.states[0].get(2));
    }
}

}  // namespace
}  // namespace optimizer_test
