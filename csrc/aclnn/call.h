// The two-phase call of an aclnn function on the current stream, in the order of torch_npu's queue.
//
// Phase 1 (GetWorkspaceSize) runs on the caller's thread, so that a wrong argument is the caller's
// exception. Phase 2 is queued as torch_npu queues its own: waiting for the queue to drain on every
// call is the slow way. The handles live until phase 2 has returned; the tensors need not, since
// torch_npu's allocator gives memory out again in the order of the stream.
#pragma once

#include <torch/csrc/stable/accelerator.h>

#include <memory>
#include <optional>
#include <tuple>

#include "aclnn/arguments.h"
#include "aclnn/function.h"
#include "aclnn/torch_npu.h"

namespace ascend_ops::aclnn {

/// An executor between its two phases; destroyed where phase 2 never ran.
class Executor {
  public:
    Executor() = default;
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;
    ~Executor();
    void** place() { return &executor_; }
    int execute(const Function& function, void* workspace, std::uint64_t bytes, void* stream);

  private:
    void* executor_ = nullptr;
};

/// What phase 2 needs after the caller has gone on.
template <class... Holders>
struct Pending {
    explicit Pending(Holders&&... holders) : arguments(std::move(holders)...) {}
    std::tuple<Holders...> arguments;  // destroyed after the executor
    Executor executor;
};

/// Bytes of workspace on the device of `like`; not defined for 0.
std::optional<Tensor> make_workspace(const Tensor& like, std::uint64_t bytes);

/// Queues phase 2 under the function's name.
void queue_execution(const Function& function, const std::function<int()>& execution);

/// Makes the device of `like` the current one, where it is not, for as long as this lives.
class OnDeviceOf {
  public:
    explicit OnDeviceOf(const Tensor& like);

  private:
    std::optional<torch::stable::accelerator::DeviceGuard> guard_;
};

/// Calls `function` with the arguments of its declaration, from the first to the last output: the
/// workspace and the executor are added here. `like` says which device. Throws std::runtime_error
/// with CANN's words.
template <class... Arguments>
void call(const Function& function, const Tensor& like, const Arguments&... arguments) {
    function.require();
    const OnDeviceOf device(like);
    torch_npu().apply_determinism();
    using State = Pending<decltype(argument(arguments))...>;
    auto pending = std::make_shared<State>(argument(arguments)...);
    std::uint64_t bytes = 0;
    const int status = std::apply(
        [&](auto&... holders) {
            using Phase1 = int (*)(decltype(holders.get())..., std::uint64_t*, void**);
            return reinterpret_cast<Phase1>(function.workspace_size())(holders.get()..., &bytes,
                                                                       pending->executor.place());
        },
        pending->arguments);
    check_status(status, function.name() + "GetWorkspaceSize");
    const std::optional<Tensor> workspace = make_workspace(like, bytes);
    void* const address = workspace.has_value() ? workspace->data_ptr() : nullptr;
    void* const stream = torch_npu().current_stream();
    queue_execution(function, [pending = std::move(pending), &function, address, bytes, stream] {
        return pending->executor.execute(function, address, bytes, stream);
    });
}

}  // namespace ascend_ops::aclnn
