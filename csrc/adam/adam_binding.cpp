// Adam for torch: the namespace ascend_ops_cpu_adam, on torch's stable ABI.
//
// adam_update and adam_rollback keep the argument order that DeepSpeed's optimizers call; adam_step
// is the same update without a registry. All update params, exp_avg and exp_avg_sq in place.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <string>
#include <vector>

#include "adam.h"
#include "adam_arguments.h"
#include "ascend_ops/isa.h"
#include "ascend_ops/torch_arguments.h"
#include "ascend_ops/torch_check.h"
#include "ascend_ops/torch_no_grad.h"

namespace ascend_ops {
namespace {

// Elements a task has at least: at 28 bytes an element about as long as starting the threads.
constexpr std::int64_t grain_size = 32768;
// Tasks start at multiples of this, so that two threads share no cache line.
constexpr std::int64_t block_size = 1024;

void check_plan(const AdamProblem& problem) {
    if (problem.argument != nullptr) {
        fail(problem.argument, problem.wanted, to_text(problem.found));
    }
}

void run_parallel(const AdamPlan& plan, const Tensor& params, const Tensor& grads,
                  const Tensor& exp_avg, const Tensor& exp_avg_sq) {
    const std::int64_t numel = params.numel();
    const AdamTensors tensors = {params.mutable_data_ptr(), grads.const_data_ptr(),
                                 exp_avg.mutable_data_ptr(), exp_avg_sq.mutable_data_ptr()};
    const std::int64_t blocks = (numel + block_size - 1) / block_size;
    torch::stable::parallel_for(
        0, blocks, grain_size / block_size, [&](std::int64_t begin, std::int64_t end) {
            run_adam(plan, tensors, begin * block_size, std::min(end * block_size, numel));
        });
}

void run_on_copies(const AdamPlan& plan, const AdamArguments& arguments) {
    const NoGradGuard no_grad;
    const Tensor params = torch::stable::contiguous(arguments.params.tensor);
    const Tensor grads = torch::stable::contiguous(arguments.grads.tensor);
    const Tensor exp_avg = torch::stable::contiguous(arguments.exp_avg.tensor);
    const Tensor exp_avg_sq = torch::stable::contiguous(arguments.exp_avg_sq.tensor);
    run_parallel(plan, params, grads, exp_avg, exp_avg_sq);
    const auto copy_back = [](const TensorArgument& argument, const Tensor& copy) {
        if (!argument.tensor.is_contiguous()) {
            Tensor original = argument.tensor;
            torch::stable::copy_(original, copy);
        }
    };
    copy_back(arguments.params, params);
    copy_back(arguments.exp_avg, exp_avg);
    copy_back(arguments.exp_avg_sq, exp_avg_sq);
}

enum class Direction { step, rollback };

void apply(Direction direction, const AdamHyperparameters& hyperparameters,
           const AdamArguments& arguments) {
    AdamPlan plan;
    const AdamDTypes dtypes = check_tensors(arguments);
    check_plan(direction == Direction::step
                   ? plan_adam_step(hyperparameters, dtypes, current_isa(), &plan)
                   : plan_adam_rollback(hyperparameters, dtypes, current_isa(), &plan));
    if (arguments.params.tensor.numel() == 0) {
        return;
    }
    if (share_dense_layout(arguments)) {
        run_parallel(plan, arguments.params.tensor, arguments.grads.tensor,
                     arguments.exp_avg.tensor, arguments.exp_avg_sq.tensor);
    } else {
        run_on_copies(plan, arguments);
    }
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

void adam_step(StableIValue* values, std::uint64_t count, std::uint64_t) {
    ArgumentReader arguments(values, count);
    AdamHyperparameters h;
    const AdamArguments tensors(arguments);
    h.step = arguments.take<std::int64_t>();
    take_hyperparameters(arguments, h);
    h.adamw_mode = arguments.take<bool>();
    h.bias_correction = arguments.take<bool>();
    h.maximize = arguments.take<bool>();
    apply(Direction::step, h, tensors);
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
        "adam_step(Tensor(a!) params, Tensor grads, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, "
        "int step, float lr, float beta1, float beta2, float eps, float weight_decay, "
        "bool adamw_mode, bool bias_correction, bool maximize) -> ()");
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
    library.impl("cpu_capability", &cpu_capability);
    library.impl("set_cpu_capability", &set_cpu_capability);
}
