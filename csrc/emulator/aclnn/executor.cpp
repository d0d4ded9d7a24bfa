// The two phases: phase 1 makes an executor that holds everything by value, phase 2 queues it.
#include "emulator/aclnn/executor.h"

#include <dlfcn.h>

#include <algorithm>
#include <stdexcept>

#include "emulator/aclnn/operation.h"
#include "emulator/aclnn/phase1.h"
#include "emulator/aclnn/workspace.h"
#include "emulator/interface/status.h"

namespace ascend_emulator {
namespace {

/// Let workers compute with one thread by default: two OpenMP teams that spin on two cores took
/// 7.7 s for work that takes 0.18 s.
void limit_threads() {
    thread_local const bool done = [] {
        const int threads = static_cast<int>(services().options().op_threads);
        using Set = void (*)(int);
        if (void* set = dlsym(RTLD_DEFAULT, "omp_set_num_threads")) {
            reinterpret_cast<Set>(set)(threads);
        }
        if (void* set = dlsym(RTLD_DEFAULT, "MKL_Set_Num_Threads_Local")) {
            reinterpret_cast<Set>(set)(threads);
        }
        return true;
    }();
    (void)done;
}

std::string describe(const TensorDescription& tensor) {
    std::string text = "{\"dtype\":\"" + std::string(name_of(tensor.dtype())) + "\",\"shape\":[";
    for (std::size_t i = 0; i < tensor.sizes.size(); ++i) {
        text += (i == 0 ? "" : ",") + std::to_string(tensor.sizes[i]);
    }
    return text + "],\"format\":" + std::to_string(tensor.format) + "}";
}

/// Call `visit` with each tensor, the kind of its parameter and its index.
template <class Visit>
void for_each_tensor(const Operation& operation, const Arguments& arguments, Visit visit) {
    for (std::size_t i = 0; i < operation.count; ++i) {
        const Captured& captured = arguments.values()[i];
        if (const auto* tensor = std::get_if<TensorDescriptionPtr>(&captured)) {
            if (*tensor != nullptr) {
                visit(**tensor, operation.kinds[i], i);
            }
        } else if (const auto* list = std::get_if<std::vector<TensorDescriptionPtr>>(&captured)) {
            for (const TensorDescriptionPtr& member : *list) {
                if (member != nullptr) {
                    visit(*member, operation.kinds[i], i);
                }
            }
        }
    }
}

}  // namespace

class Call : public Task {
  public:
    Call(const Operation& operation, Arguments arguments)
        : operation_(operation), arguments_(std::move(arguments)) {}

    int run() override {
        limit_threads();
        try {
            operation_.run(operation_, arguments_);
            return 0;
        } catch (const WrongShape& wrong) {
            const bool known = wrong.parameter != WrongShape::unknown_parameter;
            return services().fail(
                operator_failure,
                (known ? parameter_name(operation_, wrong.parameter) : "an output") + wrong.what());
        } catch (const std::exception& error) {
            const std::string text = error.what();
            return services().fail(operator_failure,
                                   text.substr(0, text.find("\nException raised")));
        }
    }
    const char* name() const override { return operation_.name; }
    std::vector<Access> accesses() const override {
        std::vector<Access> all;
        for_each_tensor(operation_, arguments_,
                        [&](const TensorDescription& tensor, ParameterKind kind, std::size_t) {
                            const bool writes =
                                kind == ParameterKind::output || kind == ParameterKind::in_out;
                            all.push_back({tensor.begin(), tensor.bytes(), writes});
                        });
        return all;
    }
    std::string arguments() const override {
        std::string text;
        for_each_tensor(operation_, arguments_,
                        [&](const TensorDescription& tensor, ParameterKind, std::size_t) {
                            text += (text.empty() ? "" : ",") + describe(tensor);
                        });
        return "\"tensors\":[" + text + "]";
    }
    /// A message if an operand is not in live memory that the stream's device can access, or "".
    std::string why_out_of_reach(void* stream) const {
        std::string problem;
        for_each_tensor(operation_, arguments_,
                        [&](const TensorDescription& tensor, ParameterKind, std::size_t index) {
                            const std::size_t bytes = tensor.bytes();
                            if (problem.empty() && bytes != 0) {
                                problem =
                                    services().why_out_of_reach(tensor.begin(), bytes, stream);
                                if (!problem.empty()) {
                                    problem = "argument " + std::to_string(index) + ": " + problem;
                                }
                            }
                        });
        return problem;
    }
    const Operation& operation() const { return operation_; }

  private:
    const Operation& operation_;
    Arguments arguments_;
};

}  // namespace ascend_emulator

struct aclOpExecutor {
    static constexpr auto handle_kind = ascend_emulator::HandleKind::executor;

    explicit aclOpExecutor(std::shared_ptr<ascend_emulator::Call> its_call, std::uint64_t bytes)
        : call(std::move(its_call)), workspace_bytes(bytes) {}
    std::shared_ptr<ascend_emulator::Call> call;
    std::uint64_t workspace_bytes;
    bool repeatable = false;
};

namespace ascend_emulator {
namespace {

void retire(aclOpExecutor* executor) {
    services().count_handle(HandleKind::executor, -1);
    destroy_handle(executor);
}

std::string why_not_launchable(const Operation& operation, const aclOpExecutor* executor,
                               const void* workspace, std::uint64_t bytes, void* stream) {
    if (HandlePool<aclOpExecutor>::instance().state_of(executor) == HandleState::destroyed) {
        return "executor " + address_text(executor) +
               " was launched before; make a new one for each launch, or call "
               "aclSetAclOpExecutorRepeatable";
    }
    std::string problem = why_unusable(executor);
    if (!problem.empty()) {
        return problem;
    }
    const Call* call = executor->call.get();
    if (call == nullptr || &call->operation() != &operation) {
        return std::string("the executor must be one of ") + operation.name + ", got one of " +
               (call == nullptr ? "no operator" : call->operation().name);
    }
    if (bytes < executor->workspace_bytes || (workspace == nullptr && bytes != 0)) {
        return "the workspace must have the bytes that phase 1 returned, " +
               std::to_string(executor->workspace_bytes) + ", got " +
               std::to_string(workspace == nullptr ? 0 : bytes);
    }
    if (executor->workspace_bytes != 0) {
        problem = services().why_out_of_reach(workspace, executor->workspace_bytes, stream);
        if (!problem.empty()) {
            return "the workspace: " + problem;
        }
    }
    return call->why_out_of_reach(stream);
}

int prepare_unguarded(const Operation& operation, const Passed* passed,
                      std::uint64_t* workspace_bytes, aclOpExecutor** executor) {
    Arguments arguments;
    arguments.reserve(operation.count);
    for (std::size_t i = 0; i < operation.count; ++i) {
        operation.add_argument[i](arguments, passed[i]);
    }
    if (const int refused = services().enter(operation.phase1_name)) {
        return refused;
    }
    if (workspace_bytes == nullptr || executor == nullptr) {
        return services().fail(null_argument, "the pointers to the results must not be null");
    }
    const Problem problem = why_refused(operation, arguments);
    if (!problem.text.empty()) {
        const bool is_named = problem.index == Problem::no_parameter;
        return services().fail(
            problem.code,
            (is_named ? "" : parameter_name(operation, problem.index)) + problem.text);
    }
    *workspace_bytes = workspace_of(operation.name);
    *executor = make_handle<aclOpExecutor>(std::make_shared<Call>(operation, std::move(arguments)),
                                           *workspace_bytes);
    services().count_handle(HandleKind::executor, 1);
    return 0;
}

int launch_unguarded(const Operation& operation, void* workspace, std::uint64_t workspace_bytes,
                     aclOpExecutor* executor, void* stream) {
    if (const int refused = services().enter(operation.name)) {
        return refused;
    }
    const std::string problem =
        why_not_launchable(operation, executor, workspace, workspace_bytes, stream);
    if (!problem.empty()) {
        return services().fail(invalid_argument, problem);
    }
    const TaskPtr call = executor->call;
    if (!executor->repeatable) {
        retire(executor);
    }
    return services().enqueue(stream, call);
}

}  // namespace

int prepare(const Operation& operation, const Passed* passed, std::uint64_t* workspace_bytes,
            aclOpExecutor** executor) {
    return guarded([&] { return prepare_unguarded(operation, passed, workspace_bytes, executor); });
}

int launch(const Operation& operation, void* workspace, std::uint64_t workspace_bytes,
           aclOpExecutor* executor, void* stream) {
    return guarded(
        [&] { return launch_unguarded(operation, workspace, workspace_bytes, executor, stream); });
}

void DynamicOut::operator=(const Tensor& value) const {
    auto description = std::make_shared<TensorDescription>(*handle->description);
    const Tensor contiguous = value.contiguous();
    description->sizes = contiguous.sizes();
    description->strides = contiguous_strides(description->sizes);
    assign(tensor_of(*description), contiguous);
    handle->description = std::move(description);
}

int set_repeatable(aclOpExecutor* executor) {
    const std::string problem = why_unusable(executor);
    if (!problem.empty()) {
        return services().fail(invalid_argument, problem);
    }
    executor->repeatable = true;
    return 0;
}

int destroy_executor(aclOpExecutor* executor) {
    const std::string problem = why_unusable(executor);
    if (!problem.empty()) {
        return services().fail(invalid_argument, problem);
    }
    retire(executor);
    return 0;
}

}  // namespace ascend_emulator
