// torch.no_grad() for torch's stable ABI.
#pragma once

#include <torch/csrc/stable/library.h>

namespace ascend_ops {

/// Stops this thread from recording gradients while the guard lives. In-place ops on tensors that
/// require grad, such as a copy_ into a parameter, are errors while gradients are recorded.
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

}  // namespace ascend_ops
