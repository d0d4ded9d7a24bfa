// Adam for torch: the namespace ascend_ops_cpu_adam, on torch's stable ABI.
//
// adam_update and adam_rollback have the argument order of DeepSpeed's optimizers. adam_step
// updates lists of tensors in one parallel region. All three change params, exp_avg and exp_avg_sq
// in place after all checks; adam_check runs only the checks of adam_step.
// adam_step_address returns the address of adam_step for Python's lists: see python_step.h.
//
// The step of ZeRO-Offload divides the gradients by the loss scale, clips them by their global
// norm, updates fp32 master parameters and states, and writes a low-precision copy of the
// parameters. It reads the gradients once for their norm and then makes a single pass over
// everything. Call
//   norm, found_inf = grad_norm(grads, loss_scale)
// once and, unless found_inf is true, for consecutive ranges of the elements of all parameters
//   adam_offload_range(..., loss_scale, max_norm, norm, begin, end)
// and start copying [begin, end) of low_precision_params to the device before you compute the next
// range. The result does not depend on how the ranges are cut, bit for bit; each element must be in
// exactly one range.
//
// state_steps are one-element tensors that count the updates. adam_step adds 1 to each;
// adam_offload_range, which does part of an update, leaves that to its caller.
#include <torch/csrc/stable/library.h>

#include <cmath>
#include <cstdint>

#include "cpu/adam/adam.h"
#include "cpu/adam/adam_lists.h"
#include "cpu/optimizer/binding.h"
#include "cpu/optimizer/python_step.h"

namespace ascend_ops {
namespace {

// The options of create_adam that adam_update does not have.
struct Options {
    bool adamw_mode;
};

Registry<Options>& registry() {
    static Registry<Options> optimizers("adam");
    return optimizers;
}

void create_adam(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    AdamHyperparameters h;
    const auto optimizer_id = arguments.take<std::int64_t>();
    take_hyperparameters(arguments, h);
    h.adamw_mode = arguments.take<bool>();
    const auto should_log = arguments.take<bool>();
    Plan plan;
    check_problem(plan_adam_step(h, DTypes{}, current_isa(), &plan));
    registry().create(optimizer_id, {h.adamw_mode});
    if (should_log) {
        log_created(optimizer_id, h.adamw_mode ? "AdamW" : "Adam");
    }
    give(values[0], std::int64_t{0});
}

void destroy_adam(StableIValue* values, std::uint64_t count, std::uint64_t) {
    registry().destroy(ArgumentReader(values, count).take<std::int64_t>());
    give(values[0], std::int64_t{0});
}

void update_registered(Direction direction, StableIValue* values, std::uint64_t count) {
    ArgumentReader arguments(values, count);
    AdamHyperparameters h;
    const auto optimizer_id = arguments.take<std::int64_t>();
    h.step = arguments.take<std::int64_t>();
    take_hyperparameters(arguments, h);
    h.bias_correction = arguments.take<bool>();
    Parameters parameters;
    parameters.params = take_one(arguments, "params");
    parameters.grads = take_one(arguments, "grads");
    parameters.states.push_back(take_one(arguments, "exp_avg"));
    parameters.states.push_back(take_one(arguments, "exp_avg_sq"));
    h.adamw_mode = registry().get(optimizer_id).adamw_mode;
    const auto make_plan = direction == Direction::step ? plan_adam_step : plan_adam_rollback;
    const auto planner = [&](std::size_t, const DTypes& dtypes, Plan* plan) {
        return make_plan(h, dtypes, current_isa(), plan);
    };
    run_all(parameters, plan_all(parameters, Purpose::step, planner));
    give(values[0], std::int64_t{0});
}

void adam_update(StableIValue* values, std::uint64_t count, std::uint64_t) {
    update_registered(Direction::step, values, count);
}

void adam_rollback(StableIValue* values, std::uint64_t count, std::uint64_t) {
    update_registered(Direction::rollback, values, count);
}

void adam_step(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    AdamLists lists = take_step(arguments);
    run_all(lists.parameters, lists.plan());
    lists.steps.count_update();
}

void adam_check(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    take_step(arguments).plan();
}

std::int32_t adam_python_step(const PythonCall* call) {
    return python_step(call, [](PythonArguments& arguments) { return take_step(arguments); });
}

void adam_step_address(StableIValue* values, std::uint64_t, std::uint64_t) {
    give(values[0], address_of(&adam_python_step));
}

void give_norm(StableIValue* values, const GradNorm& found) {
    give(values[0], found.norm);
    give(values[1], found.found_inf);
}

void grad_norm(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    const TensorList grads = take_list(arguments, "grads");
    give_norm(values, global_norm(grads, arguments.take<double>()));
}

ElementRange take_range(ArgumentReader& arguments) {
    const auto begin = arguments.take<std::int64_t>();
    return {begin, arguments.take<std::int64_t>()};
}

void check_range(const ElementRange& range, const std::vector<Update>& updates) {
    std::int64_t total = 0;
    for (const Update& update : updates) {
        total += update.numel;
    }
    if (range.begin < 0 || range.begin > range.end || range.end > total) {
        fail("begin and end", "be a range within the " + std::to_string(total) + " elements",
             std::to_string(range.begin) + " and " + std::to_string(range.end));
    }
}

void adam_offload_range(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    AdamLists lists = take_offload(arguments);
    const auto loss_scale = arguments.take<double>();
    const auto max_norm = arguments.take<double>();
    const auto norm = arguments.take<double>();
    const ElementRange range = take_range(arguments);
    take_rounding(arguments, lists.hyperparameters);
    if (!(std::isfinite(norm) && norm >= 0.0)) {
        fail("norm", "be a finite number of at least 0",
             to_text(norm) + ": skip the step if grad_norm returns found_inf");
    }
    lists.hyperparameters.grad_scale = grad_scale(loss_scale, max_norm, norm);
    const std::vector<Update> updates = lists.plan();
    check_range(range, updates);
    run_all(lists.parameters, updates, range);
}

}  // namespace
}  // namespace ascend_ops

STABLE_TORCH_LIBRARY(ascend_ops_cpu_adam, library) {
    library.def(
        "create_adam(int optimizer_id, float lr=1e-3, float beta1=0.9, float beta2=0.999, "
        "float eps=1e-8, float weight_decay=0.0, bool adamw_mode=True, bool should_log=False) "
        "-> int");
    library.def("destroy_adam(int optimizer_id) -> int");
    library.def(
        "adam_update(int optimizer_id, int step, float lr, float beta1, float beta2, float eps, "
        "float weight_decay, bool bias_correction, Tensor(a!) params, Tensor grads, "
        "Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq) -> int");
    library.def(
        "adam_rollback(int optimizer_id, int step, float lr, float beta1, float beta2, float eps, "
        "float weight_decay, bool bias_correction, Tensor(a!) params, Tensor grads, "
        "Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq) -> int");
    library.def(
        "adam_step(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] exp_avgs, "
        "Tensor(c!)[] exp_avg_sqs, Tensor(d!)[] state_steps, float lr, float beta1, float beta2, "
        "float eps, float weight_decay, bool decoupled_weight_decay, bool bias_correction, "
        "bool maximize, int? stochastic_rounding_seed=None) -> ()");
    library.def(
        "adam_check(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, "
        "Tensor[] state_steps, float lr, float beta1, float beta2, float eps, float weight_decay, "
        "bool decoupled_weight_decay, bool bias_correction, bool maximize, "
        "int? stochastic_rounding_seed=None) -> ()");
    library.def("adam_step_address() -> int");
    library.def("grad_norm(Tensor[] grads, float loss_scale) -> (float, bool)");
    library.def(
        "adam_offload_range(Tensor(a!)[] master_params, Tensor[] grads, Tensor(b!)[] exp_avgs, "
        "Tensor(c!)[] exp_avg_sqs, Tensor(d!)[] low_precision_params, Tensor[] state_steps, "
        "float lr, float beta1, float beta2, float eps, float weight_decay, "
        "bool decoupled_weight_decay, bool bias_correction, bool maximize, float loss_scale, "
        "float max_norm, float norm, int begin, int end, "
        "int? stochastic_rounding_seed=None) -> ()");
    library.def("cpu_capability() -> str");
    library.def("set_cpu_capability(str isa) -> ()");
}

// Registered for every device, not only the CPU: for a tensor on another device the checks name the
// argument, while the dispatcher would only list its backends.
STABLE_TORCH_LIBRARY_IMPL(ascend_ops_cpu_adam, CompositeExplicitAutograd, library) {
    using namespace ascend_ops;
    library.impl("create_adam", &create_adam);
    library.impl("destroy_adam", &destroy_adam);
    library.impl("adam_update", &adam_update);
    library.impl("adam_rollback", &adam_rollback);
    library.impl("adam_step", &adam_step);
    library.impl("adam_check", &adam_check);
    library.impl("adam_step_address", &adam_step_address);
    library.impl("grad_norm", &grad_norm);
    library.impl("adam_offload_range", &adam_offload_range);
    library.impl("cpu_capability", &cpu_capability);
    library.impl("set_cpu_capability", &set_cpu_capability);
}
