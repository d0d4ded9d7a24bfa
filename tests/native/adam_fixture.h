// Shared by the tests of Adam's kernels.
#pragma once

#include "cpu/adam/adam.h"
#include "fixture.h"

namespace adam_test {

using namespace optimizer_test;
using ascend_ops::AdamHyperparameters;

/// Returns all combinations of dtypes that the kernels support.
inline std::vector<DTypes> all_dtypes() {
    std::vector<DTypes> combinations = step_dtypes();
    for (const DTypes& dtypes : offload_dtypes()) {
        combinations.push_back(dtypes);
    }
    return combinations;
}

/// Returns Adam and AdamW with and without bias correction, weight decay and maximize, at an early
/// and a late step.
inline std::vector<AdamHyperparameters> all_modes() {
    std::vector<AdamHyperparameters> modes;
    for (int bits = 0; bits < 32; ++bits) {
        AdamHyperparameters h;
        h.lr = 0.01;
        h.adamw_mode = (bits & 1) != 0;
        h.bias_correction = (bits & 2) != 0;
        h.maximize = (bits & 4) != 0;
        h.weight_decay = (bits & 8) != 0 ? 0.1 : 0.0;
        h.step = (bits & 16) != 0 ? 1000 : 1;
        modes.push_back(h);
    }
    return modes;
}

inline Tensors random_tensors(const DTypes& dtypes, std::size_t count, std::uint32_t seed,
                              std::size_t skew = 0) {
    return optimizer_test::random_tensors(dtypes, 2, 1, count, seed, skew);
}

inline Plan step_plan(const AdamHyperparameters& h, const DTypes& dtypes, Isa isa) {
    Plan plan;
    const Problem problem = ascend_ops::plan_adam_step(h, dtypes, isa, &plan);
    CHECK_MESSAGE(problem.argument == nullptr, "%s on %s", problem.argument,
                  ascend_ops::isa_name(isa));
    return plan;
}

inline Plan rollback_plan(const AdamHyperparameters& h, const DTypes& dtypes, Isa isa) {
    Plan plan;
    const Problem problem = ascend_ops::plan_adam_rollback(h, dtypes, isa, &plan);
    CHECK_MESSAGE(problem.argument == nullptr, "%s on %s", problem.argument,
                  ascend_ops::isa_name(isa));
    return plan;
}

}  // namespace adam_test
