// rotary_embedding, its gradient and apply_rotary_pos_emb_ on aclnn. ascend_ops/rotary/ checks the
// arguments.
#include "npu/call/call.h"
#include "npu/call/outputs.h"
#include "npu/call/registration.h"

namespace ascend_ops {
namespace {

using aclnn::call;
using aclnn::make_empty;
using aclnn::make_empty_like;
using torch::stable::Tensor;

ACLNN_FUNCTION(rotary_function, "aclnnRotaryPositionEmbedding")
ACLNN_FUNCTION(rotary_backward_function, "aclnnRotaryPositionEmbeddingGrad")
ACLNN_FUNCTION(apply_function, "aclnnApplyRotaryPosEmb")

Tensor rotary_embedding(const Tensor& x, const Tensor& cos, const Tensor& sin, std::int64_t mode) {
    Tensor y = make_empty_like(x);
    call(rotary_function(), x, x, cos, sin, mode, y);
    return y;
}

/// Make the tensor for the gradient of cos or sin. CANN requires one, empty if it is not wanted.
Tensor gradient_of(const Tensor& factor, bool wanted) {
    if (wanted) {
        return make_empty_like(factor);
    }
    std::vector<std::int64_t> sizes(static_cast<std::size_t>(factor.dim()), 1);
    sizes.back() = 0;
    return make_empty(factor, sizes, factor.scalar_type());
}

std::tuple<Tensor, Tensor, Tensor> rotary_embedding_backward(const Tensor& grad, const Tensor& cos,
                                                             const Tensor& sin,
                                                             const std::optional<Tensor>& x,
                                                             std::int64_t mode) {
    Tensor grad_x = make_empty_like(grad);
    Tensor grad_cos = gradient_of(cos, x.has_value());
    Tensor grad_sin = gradient_of(sin, x.has_value());
    call(rotary_backward_function(), grad, grad, cos, sin, x, mode, grad_x, grad_cos, grad_sin);
    return {grad_x, grad_cos, grad_sin};
}

void apply_rotary_pos_emb(const Tensor& query, const Tensor& key, const Tensor& cos,
                          const Tensor& sin, std::int64_t layout) {
    call(apply_function(), query, query, key, cos, sin, layout);
}

std::vector<aclnn::Kernel> kernels() {
    return {
        {"rotary_embedding", rotary_function, TORCH_BOX(&rotary_embedding)},
        {"rotary_embedding_backward", rotary_backward_function,
         TORCH_BOX(&rotary_embedding_backward)},
        {"apply_rotary_pos_emb_", apply_function, TORCH_BOX(&apply_rotary_pos_emb)},
    };
}

}  // namespace

ASCEND_OPS_FAMILY(rotary, kernels)

}  // namespace ascend_ops
