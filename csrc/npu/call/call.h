// The two-phase call of an aclnn function on the current stream, in the order of torch_npu's queue.
//
// Phase 1 (GetWorkspaceSize) runs on the caller's thread, so that a wrong argument is the caller's
// exception. Phase 2 is queued as torch_npu queues its own: waiting for the queue to drain on every
// call is the slow way. The handles live until phase 2 has returned; the tensors need not, since
// torch_npu's allocator gives memory out again in the order of the stream.
//
// Only what depends on a function's C signature is a template: everything else is compiled once, in
// the library that all families share.
#pragma once

#include <torch/csrc/stable/accelerator.h>

#include <memory>
#include <optional>

#include "npu/call/arguments.h"
#include "npu/call/export.h"
#include "npu/call/function.h"

namespace ascend_ops::aclnn {

/// Makes the device of `like` the current one, where it is not, for as long as this lives.
class OnDeviceOf {
  public:
    ASCEND_OPS_EXPORT explicit OnDeviceOf(const Tensor& like);

  private:
    std::optional<torch::stable::accelerator::DeviceGuard> guard_;
};

/// One call, between its two phases.
class Call {
  public:
    /// With that many arguments, on the device of `like`. Throws where the function is missing.
    ASCEND_OPS_EXPORT Call(const Function& function, const Tensor& like, std::size_t count);

    ASCEND_OPS_EXPORT Handles& handles();
    /// Where phase 1 writes.
    ASCEND_OPS_EXPORT std::uint64_t* workspace_bytes();
    ASCEND_OPS_EXPORT void** executor();

    /// Queues phase 2, after a phase 1 that returned `status`. Throws std::runtime_error with
    /// CANN's words for a status other than 0.
    ASCEND_OPS_EXPORT void launch(int status);

  private:
    struct Pending;

    const Function& function_;
    const Tensor& like_;
    OnDeviceOf device_;
    std::shared_ptr<Pending> pending_;
};

/// Calls `function` with the arguments of its declaration, from the first to the last output: the
/// workspace and the executor are added here. `like` says which device. Throws std::runtime_error
/// with CANN's words.
template <class... Arguments>
void call(const Function& function, const Tensor& like, const Arguments&... arguments) {
    Call call(function, like, sizeof...(arguments));
    Handles& handles = call.handles();
    using Phase1 = int (*)(decltype(handles.hold(arguments))..., std::uint64_t*, void**);
    call.launch(reinterpret_cast<Phase1>(function.workspace_size())(
        handles.hold(arguments)..., call.workspace_bytes(), call.executor()));
}

}  // namespace ascend_ops::aclnn
