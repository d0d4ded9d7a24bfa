// Bad arguments, which are refused by name, and the choice of an instruction set.
#include <limits>
#include <string>

#include "adam_fixture.h"

namespace adam_test {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

void check_refused(const AdamHyperparameters& h, const DTypes& dtypes, const char* argument,
                   bool only_rollback = false) {
    Plan plan;
    if (!only_rollback) {
        const Problem problem = ascend_ops::plan_adam_step(h, dtypes, Isa::scalar, &plan);
        CHECK_MESSAGE(problem.argument != nullptr && problem.argument == std::string(argument),
                      "the step, for %s", argument);
    }
    const Problem problem = ascend_ops::plan_adam_rollback(h, dtypes, Isa::scalar, &plan);
    CHECK_MESSAGE(problem.argument != nullptr && problem.argument == std::string(argument),
                  "rollback, for %s", argument);
    CHECK_MESSAGE(problem.requirement != nullptr, "%s", argument);
    CHECK_MESSAGE(plan.kernel == nullptr, "a plan was made with a bad %s", argument);
}

void check_refused(double AdamHyperparameters::* field, std::initializer_list<double> values,
                   const char* argument, bool only_rollback = false) {
    for (const double value : values) {
        AdamHyperparameters h;
        h.*field = value;
        check_refused(h, DTypes{}, argument, only_rollback);
    }
}

TEST(bad_hyperparameters_are_refused_by_name) {
    check_refused(&AdamHyperparameters::lr, {-1e-9, nan, infinity, 1e39}, "lr");
    check_refused(&AdamHyperparameters::beta1, {-0.1, 1.0, 2.0, nan, infinity}, "beta1");
    check_refused(&AdamHyperparameters::beta2, {-0.1, 1.0, 2.0, nan, infinity}, "beta2");
    check_refused(&AdamHyperparameters::eps, {-1e-9, nan, infinity, 1e39}, "eps");
    check_refused(&AdamHyperparameters::grad_scale, {-1.0, nan, infinity, 1e39}, "grad_scale");
    check_refused(&AdamHyperparameters::weight_decay, {-1e-9, nan, infinity, 1e39}, "weight_decay");
    for (const std::int64_t step : {std::int64_t{0}, std::int64_t{-1}}) {
        AdamHyperparameters h;
        h.step = step;
        check_refused(h, DTypes{}, "step");
    }
}

TEST(rollback_is_refused_where_nothing_was_kept) {
    check_refused(&AdamHyperparameters::beta1, {0.0, 1e-50}, "beta1", true);
    check_refused(&AdamHyperparameters::beta2, {0.0, 1e-50}, "beta2", true);
    AdamHyperparameters h;
    h.lr = 0.5;
    h.weight_decay = 2.0;
    check_refused(h, DTypes{}, "weight_decay", true);
}

TEST(mixed_low_precision_is_refused) {
    constexpr DType fp32 = DType::float32;
    constexpr DType bf16 = DType::bfloat16;
    constexpr DType fp16 = DType::float16;
    for (const DTypes& dtypes : {DTypes{fp32, bf16, bf16}, DTypes{fp32, fp32, fp16},
                                 DTypes{bf16, fp16, bf16}, DTypes{fp16, fp16, bf16}}) {
        check_refused(AdamHyperparameters{}, dtypes, "dtypes");
    }
}

TEST(any_step_number_and_lr_of_zero_are_taken) {
    AdamHyperparameters h;
    h.step = std::numeric_limits<std::int64_t>::max();
    h.lr = 0.0;
    step_plan(h, DTypes{}, Isa::scalar);
    rollback_plan(h, DTypes{}, Isa::scalar);
}

TEST(isas_have_names_and_lower_ones_can_be_forced) {
    for (const Isa isa : ascend_ops::all_isas) {
        Isa parsed = Isa::scalar;
        CHECK_MESSAGE(ascend_ops::parse_isa(ascend_ops::isa_name(isa), &parsed), "%s",
                      ascend_ops::isa_name(isa));
        CHECK_MESSAGE(parsed == isa, "%s", ascend_ops::isa_name(isa));
        const bool supported = ascend_ops::cpu_supports(isa);
        CHECK_MESSAGE(ascend_ops::set_current_isa(isa) == supported, "%s",
                      ascend_ops::isa_name(isa));
        CHECK_MESSAGE(!supported || ascend_ops::current_isa() == isa, "%s",
                      ascend_ops::isa_name(isa));
        Plan plan;
        const Problem problem =
            ascend_ops::plan_adam_step(AdamHyperparameters{}, DTypes{}, isa, &plan);
        CHECK_MESSAGE((problem.argument == nullptr) == supported, "%s", ascend_ops::isa_name(isa));
        CHECK_MESSAGE(!supported || ascend_ops::compiled_isa(isa) == isa, "%s was not compiled in",
                      ascend_ops::isa_name(isa));
    }
    Isa untouched = Isa::avx2;
    CHECK_MESSAGE(!ascend_ops::parse_isa("AVX2", &untouched), "names are in lower case");
    CHECK_MESSAGE(untouched == Isa::avx2, "%s", ascend_ops::isa_name(untouched));
    CHECK_MESSAGE(ascend_ops::set_current_isa(ascend_ops::best_isa()), "the best is there");
}

}  // namespace
}  // namespace adam_test
