// The two-phase call of an aclnn function on the current stream, in the order of torch_npu's queue.
//
// Phase 1 (GetWorkspaceSize) runs on the caller's thread, so that a bad argument raises in the
// caller. Phase 2 goes through torch_npu's queue like its own ops: draining the queue on every call
// would be slow. The handles live until phase 2 has returned. The tensors need not, since
// torch_npu's allocator reuses memory in the order of the stream.
//
// Only code that depends on a function's C signature is a template. The rest is compiled once, in
// the library that all families share.
#pragma once

#include <torch/csrc/stable/accelerator.h>

#include <memory>
#include <optional>

#include "npu/call/arguments.h"
#include "npu/call/export.h"
#include "npu/call/function.h"

namespace ascend_ops::aclnn {

/// Makes the device of `like` the current device while the object lives.
class OnDeviceOf {
  public:
    ASCEND_OPS_EXPORT explicit OnDeviceOf(const Tensor& like);

  private:
    std::optional<torch::stable::accelerator::DeviceGuard> guard_;
};

/// One call of an aclnn function: phase 1, then `launch`.
class Call {
  public:
    /// Prepare a call with `count` arguments on the device of `like`. Throws std::runtime_error if
    /// the function is missing.
    ASCEND_OPS_EXPORT Call(const Function& function, const Tensor& like, std::size_t count);

    ASCEND_OPS_EXPORT Handles& handles();
    /// The outputs of phase 1.
    ASCEND_OPS_EXPORT std::uint64_t* workspace_bytes();
    ASCEND_OPS_EXPORT void** executor();

    /// Queue phase 2 after a phase 1 that returned `status`. Throws std::runtime_error with CANN's
    /// message if the status is not 0.
    ASCEND_OPS_EXPORT void launch(int status);

  private:
    struct Pending;

    const Function& function_;
    const Tensor& like_;
    OnDeviceOf device_;
    std::shared_ptr<Pending> pending_;
};

/// Call `function` with the arguments that its declaration lists up to the last output; the
/// workspace and the executor are added here. Runs on the device of `like`. Throws
/// std::runtime_error with CANN's message.
template <class... Arguments>
void call(const Function& function, const Tensor& like, const Arguments&... arguments) {
    Call call(function, like, sizeof...(arguments));
    Handles& handles = call.handles();
    using Phase1 = int (*)(decltype(handles.hold(arguments))..., std::uint64_t*, void**);
    call.launch(reinterpret_cast<Phase1>(function.workspace_size())(
        handles.hold(arguments)..., call.workspace_bytes(), call.executor()));
}

}  // namespace ascend_ops::aclnn
