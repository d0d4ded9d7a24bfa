// Adam for torch: the namespace ascend_ops_cpu_adam, on torch's stable ABI.
//
// adam_update and adam_rollback keep the argument order that DeepSpeed's optimizers call; adam_step
// updates lists of tensors in one parallel region. All update params, exp_avg and exp_avg_sq in
// place, after all checks; adam_check makes those of adam_step alone.
#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <vector>

#include "adam.h"
#include "adam_arguments.h"
#include "adam_multi_tensor.h"
#include "ascend_ops/isa.h"
#include "ascend_ops/torch_arguments.h"
#include "ascend_ops/torch_check.h"

namespace ascend_ops {
namespace {

enum class Direction : std::uint8_t { step, rollback };

void apply(Direction direction, const AdamHyperparameters& hyperparameters,
           const AdamArguments& arguments) {
    AdamPlan plan;
    const AdamDTypes dtypes = check_tensors(arguments);
    check_plan(direction == Direction::step
                   ? plan_adam_step(hyperparameters, dtypes, current_isa(), &plan)
                   : plan_adam_rollback(hyperparameters, dtypes, current_isa(), &plan));
    run({{arguments, plan}});
}

struct Optimizer {
    std::int64_t id;
    bool adamw_mode;  // what create_adam was told and adam_update is not
};

// A process has a handful of optimizers: a vector.
class Registry {
  public:
    void create(std::int64_t id, bool adamw_mode) {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (Optimizer& optimizer : optimizers_) {
            if (optimizer.id == id) {
                optimizer.adamw_mode = adamw_mode;
                return;
            }
        }
        optimizers_.push_back({id, adamw_mode});
    }

    void destroy(std::int64_t id) {
        const std::lock_guard<std::mutex> lock(mutex_);
        find(id) = optimizers_.back();
        optimizers_.pop_back();
    }

    bool adamw_mode(std::int64_t id) {
        const std::lock_guard<std::mutex> lock(mutex_);
        return find(id).adamw_mode;
    }

  private:
    Optimizer& find(std::int64_t id) {
        for (Optimizer& optimizer : optimizers_) {
            if (optimizer.id == id) {
                return optimizer;
            }
        }
        fail("optimizer_id", "one that create_adam made and destroy_adam did not remove",
             std::to_string(id));
    }

    std::mutex mutex_;
    std::vector<Optimizer> optimizers_;
};

Registry& registry() {
    static Registry optimizers;
    return optimizers;
}

void take_hyperparameters(ArgumentReader& arguments, AdamHyperparameters& h) {
    h.lr = arguments.take<double>();
    h.beta1 = arguments.take<double>();
    h.beta2 = arguments.take<double>();
    h.eps = arguments.take<double>();
    h.weight_decay = arguments.take<double>();
}

void create_adam(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    AdamHyperparameters h;
    const auto optimizer_id = arguments.take<std::int64_t>();
    take_hyperparameters(arguments, h);
    h.adamw_mode = arguments.take<bool>();
    const auto should_log = arguments.take<bool>();
    AdamPlan plan;
    check_plan(plan_adam_step(h, AdamDTypes{}, current_isa(), &plan));
    registry().create(optimizer_id, h.adamw_mode);
    if (should_log) {
        std::fprintf(stderr, "ascend_ops: optimizer %lld is %s on %s\n",
                     static_cast<long long>(optimizer_id), h.adamw_mode ? "AdamW" : "Adam",
                     isa_name(adam_isa(current_isa())));
    }
    values[0] = torch::stable::detail::from(std::int64_t{0});
}

void destroy_adam(StableIValue* values, std::uint64_t count, std::uint64_t) {
    registry().destroy(ArgumentReader(values, count).take<std::int64_t>());
    values[0] = torch::stable::detail::from(std::int64_t{0});
}

void update_registered(Direction direction, StableIValue* values, std::uint64_t count) {
    ArgumentReader arguments(values, count);
    AdamHyperparameters h;
    const auto optimizer_id = arguments.take<std::int64_t>();
    h.step = arguments.take<std::int64_t>();
    take_hyperparameters(arguments, h);
    h.bias_correction = arguments.take<bool>();
    const AdamArguments tensors(arguments);
    h.adamw_mode = registry().adamw_mode(optimizer_id);
    apply(direction, h, tensors);
    values[0] = torch::stable::detail::from(std::int64_t{0});
}

void adam_update(StableIValue* values, std::uint64_t count, std::uint64_t) {
    update_registered(Direction::step, values, count);
}

void adam_rollback(StableIValue* values, std::uint64_t count, std::uint64_t) {
    update_registered(Direction::rollback, values, count);
}

std::vector<AdamWork> take_multi_tensor_step(StableIValue* values, std::uint64_t count) {
    ArgumentReader arguments(values, count);
    AdamHyperparameters h;
    const AdamTensorLists lists(arguments);
    const auto steps = arguments.take<std::vector<std::int64_t>>();
    take_hyperparameters(arguments, h);
    h.adamw_mode = arguments.take<bool>();
    h.bias_correction = arguments.take<bool>();
    h.maximize = arguments.take<bool>();
    return plan_multi_tensor_step(lists, steps, h);
}

void adam_step(StableIValue* values, std::uint64_t count, std::uint64_t) {
    run(take_multi_tensor_step(values, count));
}

void adam_check(StableIValue* values, std::uint64_t count, std::uint64_t) {
    take_multi_tensor_step(values, count);
}

void cpu_capability(StableIValue* values, std::uint64_t, std::uint64_t) {
    values[0] = torch::stable::detail::from(std::string(isa_name(adam_isa(current_isa()))));
}

void set_cpu_capability(StableIValue* values, std::uint64_t count, std::uint64_t) {
    const auto name = ArgumentReader(values, count).take<std::string>();
    Isa isa = Isa::scalar;
    if (!parse_isa(name.c_str(), &isa)) {
        fail("isa", "scalar, avx2, avx512 or neon", "'" + name + "'");
    }
    if (adam_isa(isa) != isa || !set_current_isa(isa)) {
        fail("isa", "one that this CPU and the library's compiler have", name);
    }
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
        "Tensor(c!)[] exp_avg_sqs, int[] steps, float lr, float beta1, float beta2, float eps, "
        "float weight_decay, bool decoupled_weight_decay, bool bias_correction, bool maximize) "
        "-> ()");
    library.def(
        "adam_check(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, "
        "int[] steps, float lr, float beta1, float beta2, float eps, float weight_decay, "
        "bool decoupled_weight_decay, bool bias_correction, bool maximize) -> ()");
    library.def("cpu_capability() -> str");
    library.def("set_cpu_capability(str isa) -> ()");
}

// For every device, not only the CPU: a tensor that is elsewhere meets the check that names it,
// not the dispatcher's list of backends.
STABLE_TORCH_LIBRARY_IMPL(ascend_ops_cpu_adam, CompositeExplicitAutograd, library) {
    using namespace ascend_ops;
    library.impl("create_adam", &create_adam);
    library.impl("destroy_adam", &destroy_adam);
    library.impl("adam_update", &adam_update);
    library.impl("adam_rollback", &adam_rollback);
    library.impl("adam_step", &adam_step);
    library.impl("adam_check", &adam_check);
    library.impl("cpu_capability", &cpu_capability);
    library.impl("set_cpu_capability", &set_cpu_capability);
}
