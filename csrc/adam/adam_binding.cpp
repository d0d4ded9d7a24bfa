// Adam for torch: the namespace ascend_ops_cpu_adam, on torch's stable ABI.
//
// adam_update and adam_rollback keep the argument order that DeepSpeed's optimizers call; adam_step
// is the same update without a registry. All update params, exp_avg and exp_avg_sq in place.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <cstdio>
#include <mutex>
#include <string>
#include <vector>

#include "adam.h"
#include "ascend_ops/isa.h"
#include "ascend_ops/torch_check.h"

namespace ascend_ops {
namespace {

using torch::headeronly::ScalarType;

// Elements a task has at least: at 28 bytes an element about as long as starting the threads.
constexpr std::int64_t grain_size = 32768;
// Tasks start at multiples of this, so that two threads share no cache line.
constexpr std::int64_t block_size = 1024;

DType dtype_of(const Argument& argument) {
    const ScalarType found = argument.tensor.scalar_type();
    switch (found) {
        case ScalarType::Float:
            return DType::float32;
        case ScalarType::BFloat16:
            return DType::bfloat16;
        case ScalarType::Half:
            return DType::float16;
        default:
            fail(argument.name, "dtype float32, bfloat16 or float16",
                 torch::headeronly::toString(found));
    }
}

std::string dtype_name(const Argument& argument) {
    return torch::headeronly::toString(argument.tensor.scalar_type());
}

struct AdamArguments {
    Argument params;
    Argument grads;
    Argument exp_avg;
    Argument exp_avg_sq;
};

DType dtype_or_float32(const Argument& argument, DType params) {
    const DType found = dtype_of(argument);
    if (found != params && found != DType::float32) {
        fail(argument.name, "the dtype of params, or float32", dtype_name(argument));
    }
    return found;
}

AdamDTypes check_dtypes(const AdamArguments& arguments) {
    AdamDTypes dtypes;
    dtypes.params = dtype_of(arguments.params);
    dtypes.grads = dtype_or_float32(arguments.grads, dtypes.params);
    dtypes.states = dtype_or_float32(arguments.exp_avg, dtypes.params);
    if (dtype_of(arguments.exp_avg_sq) != dtypes.states) {
        fail("exp_avg_sq", "the dtype of exp_avg, " + dtype_name(arguments.exp_avg),
             dtype_name(arguments.exp_avg_sq));
    }
    return dtypes;
}

AdamDTypes check_tensors(const AdamArguments& arguments) {
    const Argument* const all[] = {&arguments.params, &arguments.grads, &arguments.exp_avg,
                                   &arguments.exp_avg_sq};
    for (const Argument* argument : all) {
        check_strided_cpu(*argument);
        check_same_sizes(*argument, arguments.params);
    }
    const AdamDTypes dtypes = check_dtypes(arguments);
    for (const Argument* argument : all) {
        if (argument != &arguments.grads) {  // grads are only read: they may be expanded
            check_no_self_overlap(*argument);
        }
        for (const Argument* const* other = all; *other != argument; ++other) {
            check_disjoint(*argument, **other);
        }
    }
    return dtypes;
}

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

// copy_ into a leaf that requires grad is an error while gradients are recorded.
class NoGradGuard {
  public:
    NoGradGuard() : enabled_(aoti_torch_grad_mode_is_enabled()) {
        aoti_torch_grad_mode_set_enabled(false);
    }
    ~NoGradGuard() { aoti_torch_grad_mode_set_enabled(enabled_); }
    NoGradGuard(const NoGradGuard&) = delete;
    NoGradGuard& operator=(const NoGradGuard&) = delete;

  private:
    bool enabled_;
};

void run_on_copies(const AdamPlan& plan, const AdamArguments& arguments) {
    const NoGradGuard no_grad;
    const Tensor params = torch::stable::contiguous(arguments.params.tensor);
    const Tensor grads = torch::stable::contiguous(arguments.grads.tensor);
    const Tensor exp_avg = torch::stable::contiguous(arguments.exp_avg.tensor);
    const Tensor exp_avg_sq = torch::stable::contiguous(arguments.exp_avg_sq.tensor);
    run_parallel(plan, params, grads, exp_avg, exp_avg_sq);
    const auto copy_back = [](const Argument& argument, const Tensor& copy) {
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
    const Tensor& params = arguments.params.tensor;
    if (same_dense_layout(params, arguments.grads.tensor) &&
        same_dense_layout(params, arguments.exp_avg.tensor) &&
        same_dense_layout(params, arguments.exp_avg_sq.tensor)) {
        run_parallel(plan, params, arguments.grads.tensor, arguments.exp_avg.tensor,
                     arguments.exp_avg_sq.tensor);
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

std::int64_t create_adam(std::int64_t optimizer_id, double lr, double beta1, double beta2,
                         double eps, double weight_decay, bool adamw_mode, bool should_log) {
    AdamHyperparameters hyperparameters;
    hyperparameters.lr = lr;
    hyperparameters.beta1 = beta1;
    hyperparameters.beta2 = beta2;
    hyperparameters.eps = eps;
    hyperparameters.weight_decay = weight_decay;
    AdamPlan plan;
    check_plan(plan_adam_step(hyperparameters, AdamDTypes{}, current_isa(), &plan));
    registry().create(optimizer_id, adamw_mode);
    if (should_log) {
        std::fprintf(stderr, "ascend_ops: optimizer %lld is %s on %s\n",
                     static_cast<long long>(optimizer_id), adamw_mode ? "AdamW" : "Adam",
                     isa_name(current_isa()));
    }
    return 0;
}

std::int64_t destroy_adam(std::int64_t optimizer_id) {
    registry().destroy(optimizer_id);
    return 0;
}

template <Direction direction>
std::int64_t update_registered(std::int64_t optimizer_id, std::int64_t step, double lr,
                               double beta1, double beta2, double eps, double weight_decay,
                               bool bias_correction, Tensor params, Tensor grads, Tensor exp_avg,
                               Tensor exp_avg_sq) {
    const bool adamw_mode = registry().adamw_mode(optimizer_id);
    apply(direction,
          {step, lr, beta1, beta2, eps, weight_decay, adamw_mode, bias_correction, false},
          {{"params", params}, {"grads", grads}, {"exp_avg", exp_avg}, {"exp_avg_sq", exp_avg_sq}});
    return 0;
}

void adam_step(Tensor params, Tensor grads, Tensor exp_avg, Tensor exp_avg_sq, std::int64_t step,
               double lr, double beta1, double beta2, double eps, double weight_decay,
               bool adamw_mode, bool bias_correction, bool maximize) {
    apply(Direction::step,
          {step, lr, beta1, beta2, eps, weight_decay, adamw_mode, bias_correction, maximize},
          {{"params", params}, {"grads", grads}, {"exp_avg", exp_avg}, {"exp_avg_sq", exp_avg_sq}});
}

std::string cpu_capability() { return isa_name(current_isa()); }

void set_cpu_capability(std::string isa) {
    Isa wanted = Isa::scalar;
    if (!parse_isa(isa.c_str(), &wanted)) {
        fail("isa", "scalar, avx2, avx512 or neon", "'" + isa + "'");
    }
    if (!set_current_isa(wanted)) {
        fail("isa", "one that this CPU has", isa);
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
    library.impl("create_adam", TORCH_BOX(&create_adam));
    library.impl("destroy_adam", TORCH_BOX(&destroy_adam));
    library.impl("adam_update", TORCH_BOX(&update_registered<Direction::step>));
    library.impl("adam_rollback", TORCH_BOX(&update_registered<Direction::rollback>));
    library.impl("adam_step", TORCH_BOX(&adam_step));
    library.impl("cpu_capability", TORCH_BOX(&cpu_capability));
    library.impl("set_cpu_capability", TORCH_BOX(&set_cpu_capability));
}
