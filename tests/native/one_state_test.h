// Tests of optimizers with one state. Their parameter, Optimizer, has Hyperparameters, modes(),
// plan(), and update(), which is the formula in double.
#pragma once

#include <algorithm>
#include <thread>

#include "fixture.h"

namespace optimizer_test {

constexpr double u = 0x1p-24;  // half the distance from 1 to the next fp32: one rounding

/// A result in double, and the error of fp32 arithmetic before the result is stored.
struct Bounded {
    double value;
    double error;
};

struct Updated {
    Bounded param, state;
};

inline void check_element(const char* name, const Array& found, std::size_t i,
                          const Bounded& wanted, Isa isa) {
    const double low = reference::round_to(found.dtype(), wanted.value - wanted.error);
    const double high = reference::round_to(found.dtype(), wanted.value + wanted.error);
    CHECK_MESSAGE(low <= found.get(i) && found.get(i) <= high, "%s %s[%zu] in %s: %a, not %a to %a",
                  ascend_ops::isa_name(isa), name, i, reference::name_of(found.dtype()),
                  found.get(i), low, high);
}

template <class Optimizer>
struct OneStateTest {
    using Hyperparameters = typename Optimizer::Hyperparameters;

    static Tensors make(const DTypes& dtypes, std::size_t count, std::uint32_t seed,
                        std::size_t skew = 0) {
        return random_tensors(dtypes, 1, Optimizer::positive_state, count, seed, skew);
    }

    static Plan plan(const Hyperparameters& h, const DTypes& dtypes, Isa isa) {
        Plan made;
        const Problem problem = Optimizer::plan(h, dtypes, isa, &made);
        CHECK_MESSAGE(problem.argument == nullptr, "%s on %s", problem.argument,
                      ascend_ops::isa_name(isa));
        return made;
    }

    static void step_is_the_formula() {
        for (const Isa isa : isas()) {
            for (const DTypes& dtypes : step_dtypes()) {
                for (const Hyperparameters& h : Optimizer::modes()) {
                    const Tensors before = make(dtypes, 301, 1);
                    Tensors after = before;
                    run(plan(h, dtypes, isa), after, 0, 301);
                    for (std::size_t i = 0; i < 301; ++i) {
                        const Updated wanted = Optimizer::update(
                            h, before.params.get(i), before.grads.get(i), before.states[0].get(i));
                        check_element("params", after.params, i, wanted.param, isa);
                        check_element("state", after.states[0], i, wanted.state, isa);
                    }
                }
            }
        }
    }

    static void isas_and_splits_do_not_matter() {
        const std::size_t count = 203;
        for (const DTypes& dtypes : step_dtypes()) {
            for (const Hyperparameters& h : Optimizer::modes()) {
                Tensors before = make(dtypes, count, 2);
                const double specials[] = {0.0, -0.0, NAN, INFINITY, -INFINITY, 1e-40, 3e38};
                for (std::size_t i = 0; i < 49; ++i) {
                    before.params.set(i, specials[i / 7]);
                    before.grads.set(i, specials[i % 7]);
                    before.states[0].set(i, std::fabs(specials[(i / 3) % 7]));
                }
                Tensors wanted = before;
                run(plan(h, dtypes, Isa::scalar), wanted, 0, count);
                std::mt19937 random(5);
                for (const Isa isa : isas()) {
                    Tensors found = before;
                    for (std::size_t begin = 0; begin < count;) {
                        const auto end = std::min<std::size_t>(count, begin + random() % 100);
                        run(plan(h, dtypes, isa), found, begin, end);
                        begin = end;
                    }
                    check_same(found, wanted, 0, count, ascend_ops::isa_name(isa));
                }
            }
        }
    }

    static void nothing_outside_the_range_is_touched() {
        for (const DTypes& dtypes : step_dtypes()) {
            for (const Isa isa : isas()) {
                const Tensors before = make(dtypes, 100, 3);
                for (std::size_t end = 30; end < 65; ++end) {
                    Tensors after = before;
                    run(plan(Optimizer::modes().back(), dtypes, isa), after, 30, end);
                    check_same(after, before, 0, 30, "before the range");
                    check_same(after, before, end, 100, "after the range");
                }
            }
        }
    }

    static void threads_do_not_matter() {
        const std::size_t count = 20003;
        const DTypes dtypes = {DType::bfloat16, DType::bfloat16, DType::float32};
        for (const Isa isa : isas()) {
            const Plan made = plan(Optimizer::modes().back(), dtypes, isa);
            const Tensors before = make(dtypes, count, 2);
            Tensors wanted = before;
            run(made, wanted, 0, count);
            Tensors found = before;
            std::vector<std::thread> threads;
            threads.reserve(3);
            for (std::size_t i = 0; i < 3; ++i) {
                threads.emplace_back(
                    [&, i] { run(made, found, count * i / 3, count * (i + 1) / 3); });
            }
            for (std::thread& thread : threads) {
                thread.join();
            }
            check_same(found, wanted, 0, count, ascend_ops::isa_name(isa));
        }
    }

    /// Checks that each value is refused with the argument's name, and that nothing is planned.
    static void check_refused(double Hyperparameters::* field, const char* argument,
                              std::initializer_list<double> values) {
        for (const double value : values) {
            Hyperparameters h;
            h.*field = value;
            Plan made;
            const Problem problem = Optimizer::plan(h, DTypes{}, Isa::scalar, &made);
            CHECK_MESSAGE(
                problem.argument != nullptr && std::strcmp(problem.argument, argument) == 0,
                "%g was accepted for %s", value, argument);
            CHECK_MESSAGE(made.kernel == nullptr, "a plan was made with a bad %s", argument);
        }
    }
};

}  // namespace optimizer_test
