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
ACLNN_FUNCTION(silu_function, "aclnnSilu")
ACLNN_FUNCTION(silu_backward_function, "aclnnSiluBackward")
ACLNN_FUNCTION(mul_function, "aclnnMul")
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

Tensor silu(const Tensor& x) {
    Tensor y = make_empty_like(x);
    call(silu_function(), x, x, y);
    return y;
}

Tensor mul(const Tensor& a, const Tensor& b) {
    Tensor product = make_empty_like(a);
    call(mul_function(), a, a, b, product);
    return product;
}

// CANN has no SwiGLU of two tensors. Two calls cost less than the copies that make one tensor.
Tensor silu_mul(const Tensor& gate, const Tensor& up) { return mul(silu(gate), up); }

std::tuple<Tensor, Tensor> silu_mul_backward(const Tensor& grad, const Tensor& gate,
                                             const Tensor& up) {
    Tensor grad_gate = make_empty_like(gate);
    call(silu_backward_function(), gate, mul(grad, up), gate, grad_gate);
    return {grad_gate, mul(grad, silu(gate))};
}

/// Return the missing one of two functions that a kernel needs, else the first.
const aclnn::Function& missing_or_first(const aclnn::Function& first,
                                        const aclnn::Function& second) {
    return second.version() < 0 ? second : first;
}

const aclnn::Function& silu_mul_function() {
    return missing_or_first(silu_function(), mul_function());
}

const aclnn::Function& silu_mul_backward_function() {
    return missing_or_first(silu_backward_function(), silu_mul_function());
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
        {"silu_mul", silu_mul_function, TORCH_BOX(&silu_mul)},
        {"silu_mul_backward", silu_mul_backward_function, TORCH_BOX(&silu_mul_backward)},
        {"gelu", gelu_function, TORCH_BOX(&gelu)},
        {"gelu_backward", gelu_backward_function, TORCH_BOX(&gelu_backward)},
    };
}

}  // namespace

ASCEND_OPS_FAMILY(activation, kernels)

}  // namespace ascend_ops
