// Lion's kernels: the formula within a bound, equal bits everywhere, and refused arguments.
#include "cpu/lion/lion.h"
#include "one_state_test.h"

namespace optimizer_test {
namespace {

struct Lion {
    using Hyperparameters = ascend_ops::LionHyperparameters;
    static constexpr int positive_state = -1;

    static Problem plan(const Hyperparameters& h, const DTypes& dtypes, Isa isa, Plan* plan) {
        return ascend_ops::plan_lion_step(h, dtypes, isa, plan);
    }

    static std::vector<Hyperparameters> modes() {
        return {{0.01, 0.9, 0.99, 0.0, false}, {0.03, 0.95, 0.98, 0.1, true}};
    }

    static Updated update(const Hyperparameters& h, double param, double grad, double m) {
        const double g = h.maximize ? -grad : grad;
        const auto mixed = [&](double beta) {
            const double value = beta * m + (1 - beta) * g;
            const double error =
                u * (std::fabs(beta * m) + 2 * std::fabs((1 - beta) * g) + std::fabs(value)) +
                1e-44;
            return Bounded{value, error};
        };
        const Bounded c = mixed(h.beta1);
        const double sign = c.value > 0 ? 1 : c.value < 0 ? -1 : 0;
        const double decay = 1 - h.lr * h.weight_decay;
        Bounded updated = {param * decay - h.lr * sign, 0};
        updated.error = u * (2 * std::fabs(param * decay) + h.lr + std::fabs(updated.value));
        if (std::fabs(c.value) <= c.error) {  // either sign is correct
            updated = {param * decay, h.lr + updated.error};
        }
        return {updated, mixed(h.beta2)};
    }
};

using Tests = OneStateTest<Lion>;

TEST(lion_is_the_formula) { Tests::step_is_the_formula(); }
TEST(isas_and_splits_do_not_matter) { Tests::isas_and_splits_do_not_matter(); }
TEST(nothing_outside_is_touched) { Tests::nothing_outside_the_range_is_touched(); }
TEST(threads_do_not_matter) { Tests::threads_do_not_matter(); }

TEST(bad_hyperparameters_are_refused_by_name) {
    using H = ascend_ops::LionHyperparameters;
    Tests::check_refused(&H::lr, "lr", {-1e-9, NAN, INFINITY, 1e39});
    Tests::check_refused(&H::beta1, "beta1", {-0.1, 1.0, NAN});
    Tests::check_refused(&H::beta2, "beta2", {-0.1, 1.0, NAN});
    Tests::check_refused(&H::weight_decay, "weight_decay", {-1e-9, NAN, INFINITY});
}

// Without momentum and gradient nothing changes, and the sign does not hide a NaN.
TEST(sign_of_zero_and_nan) {
    for (const Isa isa : isas()) {
        Tensors tensors(DTypes{}, 1, 19);
        for (std::size_t i = 0; i < 19; ++i) {
            tensors.params.set(i, 2.0);
        }
        tensors.grads.set(3, NAN);
        run(Tests::plan({0.5, 0.9, 0.99, 0.0, false}, DTypes{}, isa), tensors, 0, 19);
        for (std::size_t i = 0; i < 19; ++i) {
            const double param = tensors.params.get(i);
            CHECK_MESSAGE(i == 3 ? std::isnan(param) : param == 2.0, "params[%zu] is %g", i, param);
        }
    }
}

}  // namespace
}  // namespace optimizer_test
