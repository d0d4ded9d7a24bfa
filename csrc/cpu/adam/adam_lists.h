// Adam's updates of lists of tensors: arguments and plans of the step and the offload step.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "cpu/adam/adam.h"
#include "cpu/optimizer/grad_norm.h"
#include "cpu/optimizer/multi_tensor.h"
#include "cpu/optimizer/state_steps.h"

namespace ascend_ops {

template <class Arguments>
void take_hyperparameters(Arguments& arguments, AdamHyperparameters& h) {
    h.lr = arguments.template take<double>();
    h.beta1 = arguments.template take<double>();
    h.beta2 = arguments.template take<double>();
    h.eps = arguments.template take<double>();
    h.weight_decay = arguments.template take<double>();
}

template <class Arguments>
void take_modes(Arguments& arguments, AdamHyperparameters& h) {
    h.adamw_mode = arguments.template take<bool>();
    h.bias_correction = arguments.template take<bool>();
    h.maximize = arguments.template take<bool>();
}

template <class Arguments>
void take_rounding(Arguments& arguments, AdamHyperparameters& h) {
    const auto seed = arguments.template take<std::optional<std::int64_t>>();
    h.rounding.stochastic = seed.has_value();
    h.rounding.seed = static_cast<std::uint64_t>(seed.value_or(0));
}

/// An update of many parameters with the same hyperparameters, except for the number of the step.
struct AdamLists {
    Parameters parameters;
    StateSteps steps;
    AdamHyperparameters hyperparameters = {};
    Purpose purpose = Purpose::step;

    std::vector<Update> plan() {
        check_length("step", steps.count(), parameters.count());
        const auto planner = [this, h = hyperparameters, planned = DTypes{}, last = Plan{}](
                                 std::size_t i, const DTypes& dtypes, Plan* plan) mutable {
            const std::int64_t step = steps.next(i);
            const bool same =
                last.kernel != nullptr && !last.stochastic && step == h.step && dtypes == planned;
            Problem problem;
            if (!same) {  // bias corrections are powers, as expensive as a small tensor
                h.step = step;
                h.rounding.parameter = i;
                planned = dtypes;
                problem = plan_adam_step(h, dtypes, current_isa(), &last);
            }
            *plan = last;
            return problem;
        };
        return plan_all(parameters, purpose, planner);
    }
};

template <class Arguments>
Parameters take_parameters(Arguments& arguments) {
    Parameters parameters;
    parameters.params = take_list(arguments, "params");
    parameters.grads = take_list(arguments, "grads");
    parameters.states.push_back(take_list(arguments, "exp_avg"));
    parameters.states.push_back(take_list(arguments, "exp_avg_sq"));
    return parameters;
}

/// Takes the arguments of adam_step.
template <class Arguments>
AdamLists take_step(Arguments& arguments) {
    Parameters parameters = take_parameters(arguments);
    AdamLists lists = {std::move(parameters), take_steps(arguments)};
    take_hyperparameters(arguments, lists.hyperparameters);
    take_modes(arguments, lists.hyperparameters);
    take_rounding(arguments, lists.hyperparameters);
    return lists;
}

/// Takes the first arguments of adam_offload_range, up to `maximize`.
inline AdamLists take_offload(ArgumentReader& arguments) {
    Parameters parameters = take_parameters(arguments);
    parameters.params.name = "master_params";
    parameters.low_precision_params = take_list(arguments, "low_precision_params");
    AdamLists lists = {std::move(parameters), take_steps(arguments)};
    lists.purpose = Purpose::offload;
    take_hyperparameters(arguments, lists.hyperparameters);
    take_modes(arguments, lists.hyperparameters);
    return lists;
}

}  // namespace ascend_ops
