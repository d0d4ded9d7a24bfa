// Adagrad for torch: the namespace ascend_ops_cpu_adagrad, on torch's stable ABI.
//
// adagrad_update has the argument order of DeepSpeed's optimizers. adagrad_step updates lists of
// tensors in one parallel region and adds 1 to their state_steps. adagrad_sparse_step updates the
// rows that a coalesced sparse gradient contains. All three change params and the sum in place
// after all checks; adagrad_check and adagrad_sparse_check only check.
#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "cpu/adagrad/adagrad.h"
#include "cpu/adagrad/sparse.h"
#include "cpu/optimizer/binding.h"
#include "cpu/optimizer/multi_tensor.h"
#include "cpu/optimizer/python_step.h"
#include "cpu/optimizer/state_steps.h"

namespace ascend_ops {
namespace {

struct Options {};

Registry<Options>& registry() {
    static Registry<Options> optimizers("adagrad");
    return optimizers;
}

void create_adagrad(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    AdagradHyperparameters h;
    const auto optimizer_id = arguments.take<std::int64_t>();
    h.lr = arguments.take<double>();
    h.eps = arguments.take<double>();
    h.weight_decay = arguments.take<double>();
    const auto should_log = arguments.take<bool>();
    Plan plan;
    check_problem(plan_adagrad_step(h, DTypes{}, current_isa(), &plan));
    registry().create(optimizer_id, {});
    if (should_log) {
        log_created(optimizer_id, "Adagrad");
    }
    give(values[0], std::int64_t{0});
}

void destroy_adagrad(StableIValue* values, std::uint64_t count, std::uint64_t) {
    registry().destroy(ArgumentReader(values, count).take<std::int64_t>());
    give(values[0], std::int64_t{0});
}

void adagrad_update(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    AdagradHyperparameters h;
    const auto optimizer_id = arguments.take<std::int64_t>();
    h.step = arguments.take<std::int64_t>();
    h.lr = arguments.take<double>();
    h.eps = arguments.take<double>();
    h.weight_decay = arguments.take<double>();
    Parameters parameters;
    parameters.params = take_one(arguments, "params");
    parameters.grads = take_one(arguments, "grads");
    parameters.states.push_back(take_one(arguments, "exp_avg_sq"));
    registry().get(optimizer_id);
    const auto planner = [&](std::size_t, const DTypes& dtypes, Plan* plan) {
        return plan_adagrad_step(h, dtypes, current_isa(), plan);
    };
    run_all(parameters, plan_all(parameters, Purpose::step, planner));
    give(values[0], std::int64_t{0});
}

struct AdagradLists {
    Parameters parameters;
    StateSteps steps;
    AdagradHyperparameters hyperparameters = {};

    std::vector<Update> plan() {
        check_length("step", steps.count(), parameters.count());
        const auto planner = [this](std::size_t i, const DTypes& dtypes, Plan* plan) {
            AdagradHyperparameters h = hyperparameters;
            h.step = steps.next(i);
            return plan_adagrad_step(h, dtypes, current_isa(), plan);
        };
        return plan_all(parameters, Purpose::step, planner);
    }
};

template <class Arguments>
AdagradLists take_step(Arguments& arguments) {
    Parameters parameters;
    parameters.params = take_list(arguments, "params");
    parameters.grads = take_list(arguments, "grads");
    parameters.states.push_back(take_list(arguments, "sum"));
    AdagradLists lists = {std::move(parameters), take_steps(arguments)};
    AdagradHyperparameters& h = lists.hyperparameters;
    h.lr = arguments.template take<double>();
    h.lr_decay = arguments.template take<double>();
    h.weight_decay = arguments.template take<double>();
    h.eps = arguments.template take<double>();
    h.maximize = arguments.template take<bool>();
    return lists;
}

void adagrad_step(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    AdagradLists lists = take_step(arguments);
    run_all(lists.parameters, lists.plan());
    lists.steps.count_update();
}

void adagrad_check(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    take_step(arguments).plan();
}

std::int32_t adagrad_python_step(const PythonCall* call) {
    return python_step(call, [](PythonArguments& arguments) { return take_step(arguments); });
}

void adagrad_step_address(StableIValue* values, std::uint64_t, std::uint64_t) {
    give(values[0], address_of(&adagrad_python_step));
}

SparseStep take_sparse_step(StableIValue* values, std::uint64_t count) {
    ArgumentReader arguments(values, count);
    AdagradHyperparameters h;
    const auto params = arguments.take<Tensor>();
    const auto indices = arguments.take<Tensor>();
    const auto grad_values = arguments.take<Tensor>();
    const auto sum = arguments.take<Tensor>();
    h.step = arguments.take<std::int64_t>();
    h.lr = arguments.take<double>();
    h.lr_decay = arguments.take<double>();
    h.eps = arguments.take<double>();
    h.maximize = arguments.take<bool>();
    return plan_sparse_step(params, indices, grad_values, sum, h);
}

void adagrad_sparse_step(StableIValue* values, std::uint64_t count, std::uint64_t) {
    run_sparse_step(take_sparse_step(values, count));
}

void adagrad_sparse_check(StableIValue* values, std::uint64_t count, std::uint64_t) {
    take_sparse_step(values, count);
}

}  // namespace
}  // namespace ascend_ops

STABLE_TORCH_LIBRARY(ascend_ops_cpu_adagrad, library) {
    library.def(
        "create_adagrad(int optimizer_id, float lr=1e-2, float eps=1e-8, float weight_decay=0.0, "
        "bool should_log=False) -> int");
    library.def("destroy_adagrad(int optimizer_id) -> int");
    library.def(
        "adagrad_update(int optimizer_id, int step, float lr, float eps, float weight_decay, "
        "Tensor(a!) params, Tensor grads, Tensor(b!) exp_avg_sq) -> int");
    library.def(
        "adagrad_step(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] sums, "
        "Tensor(c!)[] state_steps, float lr, float lr_decay, float weight_decay, float eps, "
        "bool maximize) -> ()");
    library.def("adagrad_step_address() -> int");
    library.def(
        "adagrad_check(Tensor[] params, Tensor[] grads, Tensor[] sums, Tensor[] state_steps, "
        "float lr, float lr_decay, float weight_decay, float eps, bool maximize) -> ()");
    library.def(
        "adagrad_sparse_step(Tensor(a!) params, Tensor indices, Tensor values, Tensor(b!) sum, "
        "int step, float lr, float lr_decay, float eps, bool maximize=False) -> ()");
    library.def(
        "adagrad_sparse_check(Tensor params, Tensor indices, Tensor values, Tensor sum, int step, "
        "float lr, float lr_decay, float eps, bool maximize=False) -> ()");
    library.def("cpu_capability() -> str");
    library.def("set_cpu_capability(str isa) -> ()");
}

// Registered for every device: see adam_binding.cpp.
STABLE_TORCH_LIBRARY_IMPL(ascend_ops_cpu_adagrad, CompositeExplicitAutograd, library) {
    using namespace ascend_ops;
    library.impl("create_adagrad", &create_adagrad);
    library.impl("destroy_adagrad", &destroy_adagrad);
    library.impl("adagrad_update", &adagrad_update);
    library.impl("adagrad_step", &adagrad_step);
    library.impl("adagrad_step_address", &adagrad_step_address);
    library.impl("adagrad_check", &adagrad_check);
    library.impl("adagrad_sparse_step", &adagrad_sparse_step);
    library.impl("adagrad_sparse_check", &adagrad_sparse_check);
    library.impl("cpu_capability", &cpu_capability);
    library.impl("set_cpu_capability", &set_cpu_capability);
}
