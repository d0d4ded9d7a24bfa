// block_sparse_attention and its gradient on aclnn. ascend_ops/sparse_attention/ checks the
// arguments.
#include "npu/call/call.h"
#include "npu/call/outputs.h"
#include "npu/call/registration.h"
#include "npu/call/soc.h"

namespace ascend_ops {
namespace {

using aclnn::call;
using aclnn::is_ascend950;
using aclnn::make_empty;
using aclnn::make_empty_like;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Ints = std::vector<std::int64_t>;

ACLNN_FUNCTION(forward_function, "aclnnBlockSparseAttention")
ACLNN_FUNCTION(backward_function, "aclnnBlockSparseAttentionGrad")

constexpr const char* layout = "BNSD";
constexpr std::int64_t no_mask = 0;
constexpr std::int64_t all_fp32 = 0;
constexpr std::int64_t rescaling_in_fp32 = 4;  // the only "innerPrecise" of Ascend 950
constexpr std::int64_t no_pages = 0;
constexpr std::int64_t unlimited = 2147483647;
constexpr std::int64_t with_lse = 1;

std::tuple<Tensor, Tensor> block_sparse_attention(const Tensor& query, const Tensor& key,
                                                  const Tensor& value, const Tensor& blocks,
                                                  const Ints& block_shape, double scale) {
    const std::optional<Tensor> none;
    const std::optional<Ints> no_lengths;
    const Tensor out = make_empty_like(query);
    const Tensor lse =
        make_empty(query, {query.size(0), query.size(1), query.size(2), 1}, ScalarType::Float);
    const std::int64_t inner_precise = is_ascend950() ? rescaling_in_fp32 : all_fp32;
    call(forward_function(), query, query, key, value, blocks, none, block_shape, no_lengths,
         no_lengths, none, layout, layout, key.size(1), no_mask, scale, inner_precise, no_pages,
         unlimited, unlimited, with_lse, out, lse);
    return {out, lse};
}

std::tuple<Tensor, Tensor, Tensor> block_sparse_attention_backward(
    const Tensor& grad, const Tensor& query, const Tensor& key, const Tensor& value,
    const Tensor& out, const Tensor& lse, const Tensor& blocks, const Ints& block_shape,
    double scale) {
    const std::optional<Tensor> none;
    const std::optional<Ints> no_lengths;
    const Tensor dq = make_empty_like(query);
    const Tensor dk = make_empty_like(key);
    const Tensor dv = make_empty_like(value);
    call(backward_function(), query, grad, query, key, value, out, lse, blocks, none, block_shape,
         no_lengths, no_lengths, layout, layout, key.size(1), no_mask, scale, unlimited, unlimited,
         dq, dk, dv);
    return {dq, dk, dv};
}

std::vector<aclnn::Kernel> kernels() {
    return {
        {"block_sparse_attention", forward_function, TORCH_BOX(&block_sparse_attention)},
        {"block_sparse_attention_backward", backward_function,
         TORCH_BOX(&block_sparse_attention_backward)},
    };
}

}  // namespace

ASCEND_OPS_FAMILY(block_sparse_attention, kernels)

}  // namespace ascend_ops
