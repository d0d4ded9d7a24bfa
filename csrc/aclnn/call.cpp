#include "aclnn/call.h"

#include "aclnn/outputs.h"

namespace ascend_ops::aclnn {

Executor::~Executor() {
    if (executor_ != nullptr) {
        static const auto destroy =
            reinterpret_cast<int (*)(void*)>(find_symbol("aclDestroyAclOpExecutor"));
        if (destroy != nullptr) {
            destroy(executor_);
        }
    }
}

int Executor::execute(const Function& function, void* workspace, std::uint64_t bytes,
                      void* stream) {
    using Phase2 = int (*)(void*, std::uint64_t, void*, void*);
    void* const executor = executor_;
    executor_ = nullptr;  // CANN takes it, whatever becomes of it
    return reinterpret_cast<Phase2>(function.execute())(workspace, bytes, executor, stream);
}

std::optional<Tensor> make_workspace(const Tensor& like, std::uint64_t bytes) {
    if (bytes == 0) {
        return std::nullopt;
    }
    return make_empty(like, {static_cast<std::int64_t>(bytes)},
                      torch::headeronly::ScalarType::Byte);
}

void queue_execution(const Function& function, const std::function<int()>& execution) {
    torch_npu().queue(function.name(), execution);
}

OnDeviceOf::OnDeviceOf(const Tensor& like) {
    const auto device = like.get_device_index();
    if (torch::stable::accelerator::getCurrentDeviceIndex() != device) {
        guard_.emplace(device);
    }
}

}  // namespace ascend_ops::aclnn
