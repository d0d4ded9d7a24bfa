#include "npu/call/call.h"

#include "npu/call/outputs.h"
#include "npu/call/torch_npu.h"

namespace ascend_ops::aclnn {

/// What phase 2 needs after the caller has returned.
struct Call::Pending {
    explicit Pending(std::size_t count) : handles(count) {}
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    /// Destroy an executor whose phase 2 never ran, before its handles.
    ~Pending() {
        if (executor != nullptr) {
            static const auto destroy =
                reinterpret_cast<int (*)(void*)>(find_symbol("aclDestroyAclOpExecutor"));
            if (destroy != nullptr) {
                destroy(executor);
            }
        }
    }
    int execute() {
        using Phase2 = int (*)(void*, std::uint64_t, void*, void*);
        void* const taken = executor;
        executor = nullptr;  // phase 2 takes ownership, even if it fails
        return reinterpret_cast<Phase2>(phase2)(workspace, workspace_bytes, taken, stream);
    }

    Handles handles;
    void* executor = nullptr;
    void* phase2 = nullptr;
    void* workspace = nullptr;
    std::uint64_t workspace_bytes = 0;
    void* stream = nullptr;
};

OnDeviceOf::OnDeviceOf(const Tensor& like) {
    const auto device = like.get_device_index();
    if (torch::stable::accelerator::getCurrentDeviceIndex() != device) {
        guard_.emplace(device);
    }
}

Call::Call(const Function& function, const Tensor& like, std::size_t count)
    : function_((function.require(), function)),
      like_(like),
      device_(like),
      pending_(std::make_shared<Pending>(count)) {
    torch_npu().apply_determinism();
}

Handles& Call::handles() { return pending_->handles; }

std::uint64_t* Call::workspace_bytes() { return &pending_->workspace_bytes; }

void** Call::executor() { return &pending_->executor; }

void Call::launch(int status) {
    check_status(status, function_.name() + "GetWorkspaceSize");
    std::optional<Tensor> workspace;
    if (pending_->workspace_bytes != 0) {
        workspace = make_empty(like_, {static_cast<std::int64_t>(pending_->workspace_bytes)},
                               torch::headeronly::ScalarType::Byte);
        pending_->workspace = workspace->data_ptr();
    }
    pending_->phase2 = function_.execute();
    pending_->stream = torch_npu().current_stream();
    torch_npu().queue(function_.name(), [pending = pending_] { return pending->execute(); });
}

}  // namespace ascend_ops::aclnn
