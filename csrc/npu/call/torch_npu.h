// The functions of torch_npu that an op needs, looked up in the libtorch_npu.so of the process.
//
// torch_npu's C++ headers cost 9 CPU seconds per file and would tie an op to one version. Every
// version since 2.1 exports these few symbols.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "npu/call/export.h"

namespace ascend_ops::aclnn {

class TorchNpu {
  public:
    TorchNpu();

    /// Return the address of an aclnn symbol in torch_npu's search order, or null.
    void* find_aclnn(const char* name) const;

    /// Return the current stream of the current device without draining torch_npu's queue.
    void* current_stream() const;

    /// Run `work` after everything that is already queued, or at once if TASK_QUEUE_ENABLE is 0.
    /// `work` returns a status; torch_npu raises an error if it is not 0.
    void queue(const std::string& name, const std::function<int()>& work) const;

    /// Pass torch.use_deterministic_algorithms and torch_npu's own level on to CANN.
    void apply_determinism() const;

    /// Make an uninitialized contiguous tensor with the dtype and the device of `like`, an
    /// `at::Tensor*`, as torch_npu does for its own ops: without the dispatcher.
    void* new_tensor(void* like, const std::int64_t* sizes, std::size_t count) const;

    /// Return CANN's number of the format of a tensor, an `at::Tensor*`.
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

/// Return the functions of this process; throws std::runtime_error if torch_npu is not loaded.
const TorchNpu& torch_npu();

/// Return whether the current stream records into a graph instead of computing.
ASCEND_OPS_EXPORT bool is_capturing();

/// Return the reason why torch_npu() would throw, or "" if it would not.
ASCEND_OPS_EXPORT std::string torch_npu_problem();

}  // namespace ascend_ops::aclnn
