// Whether a call may go to a kernel without torch's dispatcher.
#pragma once

#include <c10/core/TensorImpl.h>

namespace ascend_ops::direct_call {

/// Return whether the dispatcher would only find the kernel of the tensors' device: no mode of
/// torch, no functorch transform, no autocast, no tracer and no profiler is active.
bool nothing_observes();

/// Return whether `tensor` is a plain tensor of an NPU: not a wrapper, not sparse, not quantized,
/// without a lazy negation or conjugation.
bool is_plain(const c10::TensorImpl& tensor);

/// Return whether a call with `tensor` would have to be recorded for a gradient.
bool needs_gradient(const c10::TensorImpl& tensor);

}  // namespace ascend_ops::direct_call
