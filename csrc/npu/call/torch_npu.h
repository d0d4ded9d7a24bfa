// What an op needs of torch_npu, found in the libtorch_npu.so that the process has loaded.
//
// Its C++ headers cost 9 CPU seconds a file and link an op to one version of it; these few symbols
// are exported by every version since 2.1.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "npu/call/export.h"

namespace ascend_ops::aclnn {

class TorchNpu {
  public:
    TorchNpu();

    /// The address of an aclnn symbol, in torch_npu's order of looking, or null.
    void* find_aclnn(const char* name) const;

    /// The current stream of the current device, without waiting for what torch_npu has queued.
    void* current_stream() const;

    /// Runs `work` after everything that was queued before, at once where TASK_QUEUE_ENABLE is 0.
    /// `work` returns a status; another than 0 is raised by torch_npu.
    void queue(const std::string& name, const std::function<int()>& work) const;

    /// Hands torch.use_deterministic_algorithms and torch_npu's own level on to CANN.
    void apply_determinism() const;

    /// A new tensor object: an uninitialised, contiguous tensor with the dtype and the device of
    /// `like`, an `at::Tensor*`, as torch_npu makes those of its own ops: no dispatcher on the way.
    void* new_tensor(void* like, const std::int64_t* sizes, std::size_t count) const;

    /// CANN's number of the format of a tensor, an `at::Tensor*`.
    std::int64_t format_of(void* tensor) const;

  private:
    /// c10_npu::NPUStream as the ABI sees it: 16 bytes, returned through a hidden pointer.
    struct Stream {
        ~Stream() {}  // NOLINT: user-provided, so that it is not returned in registers
        std::int64_t fields[2];
    };

    /// at::Tensor as the ABI sees it: a pointer, returned through a hidden one.
    struct TensorObject {
        ~TensorObject() {}  // NOLINT: user-provided, so that it is not returned in a register
        void* implementation;
    };
    /// c10::IntArrayRef.
    struct Sizes {
        const std::int64_t* data;
        std::size_t count;
    };

    void* (*find_aclnn_)(const char*);
    TensorObject (*new_tensor_)(const void*, Sizes);
    Stream (*current_stream_)(signed char);
    void* (*stream_handle_)(const Stream*, bool);
    void (*run_)(const std::string&, const std::function<int()>&, bool);
    void (*apply_level_)(std::int64_t, bool, bool);
    std::uint32_t (*level_)();
    std::int64_t (*format_)(void*);
    void* (*context_)();
    bool (*deterministic_)(const void*);
};

/// The one of this process; throws std::runtime_error where torch_npu is not loaded.
const TorchNpu& torch_npu();

/// Why torch_npu() would throw; empty where it would not.
ASCEND_OPS_EXPORT std::string torch_npu_problem();

}  // namespace ascend_ops::aclnn
