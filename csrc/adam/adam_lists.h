// Adam's updates of lists of tensors: arguments, checks and the offload step.
#pragma once

#include <optional>
#include <vector>

#include "adam.h"
#include "optimizer/grad_norm.h"
#include "optimizer/multi_tensor.h"

namespace ascend_ops {

inline void take_hyperparameters(ArgumentReader& arguments, AdamHyperparameters& h) {
    h.lr = arguments.take<double>();
    h.beta1 = arguments.take<double>();
    h.beta2 = arguments.take<double>();
    h.eps = arguments.take<double>();
    h.weight_decay = arguments.take<double>();
}

inline void take_modes(ArgumentReader& arguments, AdamHyperparameters& h) {
    h.adamw_mode = arguments.take<bool>();
    h.bias_correction = arguments.take<bool>();
    h.maximize = arguments.take<bool>();
}

inline void take_rounding(ArgumentReader& arguments, AdamHyperparameters& h) {
    const auto seed = arguments.take<std::optional<std::int64_t>>();
    h.rounding.stochastic = seed.has_value();
    h.rounding.seed = static_cast<std::uint64_t>(seed.value_or(0));
}

/// An update of many parameters: all the same but for the number of the step.
struct AdamLists {
    Parameters parameters;
    std::vector<std::int64_t> steps;
    AdamHyperparameters hyperparameters;
    Purpose purpose = Purpose::step;

    std::vector<Plan> plan() const {
        check_length("steps", steps.size(), parameters.count());
        const auto planner = [&](std::size_t i, const DTypes& dtypes, Plan* plan) {
            AdamHyperparameters h = hyperparameters;
            h.step = steps[i];
            h.rounding.parameter = i;
            return plan_adam_step(h, dtypes, current_isa(), plan);
        };
        return plan_all(parameters, purpose, planner);
    }
};

inline Parameters take_parameters(ArgumentReader& arguments) {
    Parameters parameters;
    parameters.params = take_list(arguments, "params");
    parameters.grads = take_list(arguments, "grads");
    parameters.states.push_back(take_list(arguments, "exp_avg"));
    parameters.states.push_back(take_list(arguments, "exp_avg_sq"));
    return parameters;
}

/// In the order of adam_step.
inline AdamLists take_step(ArgumentReader& arguments) {
    AdamLists lists;
    lists.parameters = take_parameters(arguments);
    lists.steps = arguments.take<std::vector<std::int64_t>>();
    take_hyperparameters(arguments, lists.hyperparameters);
    take_modes(arguments, lists.hyperparameters);
    take_rounding(arguments, lists.hyperparameters);
    return lists;
}

/// In the order that adam_offload_step and adam_offload_range begin with.
inline AdamLists take_offload(ArgumentReader& arguments) {
    AdamLists lists;
    lists.purpose = Purpose::offload;
    lists.parameters = take_parameters(arguments);
    lists.parameters.params.name = "master_params";
    lists.parameters.low_precision_params = take_list(arguments, "low_precision_params");
    lists.steps = arguments.take<std::vector<std::int64_t>>();
    take_hyperparameters(arguments, lists.hyperparameters);
    take_modes(arguments, lists.hyperparameters);
    return lists;
}

/// The whole offload step: the norm, and unless a gradient is infinite or NaN, the update. All
/// checks come first, so that a refused or skipped step leaves everything as it was.
inline GradNorm run_offload_step(AdamLists& lists, double loss_scale, double max_norm) {
    lists.hyperparameters.grad_scale = grad_scale(loss_scale, max_norm, 0.0);
    std::vector<Plan> plans = lists.plan();
    const GradNorm found = global_norm(lists.parameters.grads, loss_scale);
    if (found.found_inf) {
        return found;
    }
    const double scale = grad_scale(loss_scale, max_norm, found.norm);
    for (Plan& plan : plans) {
        set_grad_scale(scale, lists.hyperparameters.maximize, &plan);
    }
    run_all(lists.parameters, plans);
    return found;
}

}  // namespace ascend_ops
