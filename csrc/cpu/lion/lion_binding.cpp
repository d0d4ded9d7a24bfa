// Lion for torch: the namespace ascend_ops_cpu_lion, on torch's stable ABI.
//
// lion_update has the argument order of DeepSpeed's optimizers. lion_step updates lists of tensors
// in one parallel region and adds 1 to their state_steps. Both change params and exp_avg in place
// after all checks; lion_check runs only the checks of lion_step.
#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "cpu/lion/lion.h"
#include "cpu/optimizer/binding.h"
#include "cpu/optimizer/multi_tensor.h"
#include "cpu/optimizer/python_step.h"
#include "cpu/optimizer/state_steps.h"

namespace ascend_ops {
namespace {

struct Options {};

Registry<Options>& registry() {
    static Registry<Options> optimizers("lion");
    return optimizers;
}

template <class Arguments>
void take_hyperparameters(Arguments& arguments, LionHyperparameters& h) {
    h.lr = arguments.template take<double>();
    h.beta1 = arguments.template take<double>();
    h.beta2 = arguments.template take<double>();
    h.weight_decay = arguments.template take<double>();
}

void create_lion(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    LionHyperparameters h;
    const auto optimizer_id = arguments.take<std::int64_t>();
    take_hyperparameters(arguments, h);
    const auto should_log = arguments.take<bool>();
    Plan plan;
    check_problem(plan_lion_step(h, DTypes{}, current_isa(), &plan));
    registry().create(optimizer_id, {});
    if (should_log) {
        log_created(optimizer_id, "Lion");
    }
    give(values[0], std::int64_t{0});
}

void destroy_lion(StableIValue* values, std::uint64_t count, std::uint64_t) {
    registry().destroy(ArgumentReader(values, count).take<std::int64_t>());
    give(values[0], std::int64_t{0});
}

void lion_update(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    LionHyperparameters h;
    const auto optimizer_id = arguments.take<std::int64_t>();
    const auto step = arguments.take<std::int64_t>();
    take_hyperparameters(arguments, h);
    Parameters parameters;
    parameters.params = take_one(arguments, "params");
    parameters.grads = take_one(arguments, "grads");
    parameters.states.push_back(take_one(arguments, "exp_avg"));
    registry().get(optimizer_id);
    check_problem(check_step(step));  // Lion's formula does not depend on it
    const auto planner = [&](std::size_t, const DTypes& dtypes, Plan* plan) {
        return plan_lion_step(h, dtypes, current_isa(), plan);
    };
    run_all(parameters, plan_all(parameters, Purpose::step, planner));
    give(values[0], std::int64_t{0});
}

struct LionLists {
    Parameters parameters;
    StateSteps steps;
    LionHyperparameters hyperparameters = {};

    std::vector<Update> plan() {
        check_length("step", steps.count(), parameters.count());
        const auto planner = [this](std::size_t i, const DTypes& dtypes, Plan* plan) {
            steps.next(i);  // checked and counted; the formula does not use it
            return plan_lion_step(hyperparameters, dtypes, current_isa(), plan);
        };
        return plan_all(parameters, Purpose::step, planner);
    }
};

template <class Arguments>
LionLists take_step(Arguments& arguments) {
    Parameters parameters;
    parameters.params = take_list(arguments, "params");
    parameters.grads = take_list(arguments, "grads");
    parameters.states.push_back(take_list(arguments, "exp_avg"));
    LionLists lists = {std::move(parameters), take_steps(arguments)};
    take_hyperparameters(arguments, lists.hyperparameters);
    lists.hyperparameters.maximize = arguments.template take<bool>();
    return lists;
}

void lion_step(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    LionLists lists = take_step(arguments);
    run_all(lists.parameters, lists.plan());
    lists.steps.count_update();
}

void lion_check(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    take_step(arguments).plan();
}

std::int32_t lion_python_step(const PythonCall* call) {
    return python_step(call, [](PythonArguments& arguments) { return take_step(arguments); });
}

void lion_step_address(StableIValue* values, std::uint64_t, std::uint64_t) {
    give(values[0], address_of(&lion_python_step));
}

}  // namespace
}  // namespace ascend_ops

STABLE_TORCH_LIBRARY(ascend_ops_cpu_lion, library) {
    library.def(
        "create_lion(int optimizer_id, float lr=1e-4, float beta1=0.9, float beta2=0.99, "
        "float weight_decay=0.0, bool should_log=False) -> int");
    library.def("destroy_lion(int optimizer_id) -> int");
    library.def(
        "lion_update(int optimizer_id, int step, float lr, float beta1, float beta2, "
        "float weight_decay, Tensor(a!) params, Tensor grads, Tensor(b!) exp_avg) -> int");
    library.def(
        "lion_step(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] exp_avgs, "
        "Tensor(c!)[] state_steps, float lr, float beta1, float beta2, float weight_decay, "
        "bool maximize) -> ()");
    library.def("lion_step_address() -> int");
    library.def(
        "lion_check(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] state_steps, "
        "float lr, float beta1, float beta2, float weight_decay, bool maximize) -> ()");
    library.def("cpu_capability() -> str");
    library.def("set_cpu_capability(str isa) -> ()");
}

// Registered for every device: see adam_binding.cpp.
STABLE_TORCH_LIBRARY_IMPL(ascend_ops_cpu_lion, CompositeExplicitAutograd, library) {
    using namespace ascend_ops;
    library.impl("create_lion", &create_lion);
    library.impl("destroy_lion", &destroy_lion);
    library.impl("lion_update", &lion_update);
    library.impl("lion_step", &lion_step);
    library.impl("lion_step_address", &lion_step_address);
    library.impl("lion_check", &lion_check);
    library.impl("cpu_capability", &cpu_capability);
    library.impl("set_cpu_capability", &set_cpu_capability);
}
