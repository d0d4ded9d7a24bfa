// swiglu, gelu and their gradients on aclnn. ascend_ops/activation/ checks the arguments.
#include "npu/call/call.h"
#include "npu/call/outputs.h"
#include "npu/call/registration.h"

namespace ascend_ops {
namespace {

using aclnn::call;
using aclnn::make_empty;
using aclnn::make_empty_like;
using aclnn::sizes_of;
using torch::stable::Tensor;

ACLNN_FUNCTION(swiglu_function, "aclnnSwiGlu")
ACLNN_FUNCTION(swiglu_backward_function, "aclnnSwiGluGrad")
ACLNN_FUNCTION(gelu_function, "aclnnGeluV2")
ACLNN_FUNCTION(gelu_backward_function, "aclnnGeluBackwardV2")

Tensor swiglu(const Tensor& x, std::int64_t dim) {
    std::vector<std::int64_t> sizes = sizes_of(x);
    sizes[static_cast<std::size_t>(dim < 0 ? dim + x.dim() : dim)] /= 2;
    Tensor y = make_empty(x, sizes, x.scalar_type());
    call(swiglu_function(), x, x, dim, y);
    return y;
}

Tensor swiglu_backward(const Tensor& grad, const Tensor& x, std::int64_t dim) {
    Tensor grad_x = make_empty_like(x);
    call(swiglu_backward_function(), x, grad, x, dim, grad_x);
    return grad_x;
}

Tensor gelu(const Tensor& x, const std::string& approximate) {
    Tensor y = make_empty_like(x);
    const std::int64_t mode = approximate == "tanh" ? 1 : 0;
    call(gelu_function(), x, x, mode, y);
    return y;
}

Tensor gelu_backward(const Tensor& grad, const Tensor& x, const std::string& approximate) {
    Tensor grad_x = make_empty_like(x);
    call(gelu_backward_function(), x, grad, x, approximate, grad_x);
    return grad_x;
}

std::vector<aclnn::Kernel> kernels() {
    return {
        {"swiglu", swiglu_function, TORCH_BOX(&swiglu)},
        {"swiglu_backward", swiglu_backward_function, TORCH_BOX(&swiglu_backward)},
        {"gelu", gelu_function, TORCH_BOX(&gelu)},
        {"gelu_backward", gelu_backward_function, TORCH_BOX(&gelu_backward)},
    };
}

}  // namespace

ASCEND_OPS_FAMILY(activation, kernels)

}  // namespace ascend_ops
