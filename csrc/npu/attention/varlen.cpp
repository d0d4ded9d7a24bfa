// flash_attention_varlen and its gradient on aclnn. ascend_ops/attention/ checks the arguments.
#include "npu/attention/compressed_mask.h"
#include "npu/attention/flash.h"
#include "npu/call/call.h"

namespace ascend_ops {
namespace {

using aclnn::call;
using aclnn::make_empty;
using aclnn::make_empty_like;
using torch::headeronly::ScalarType;
using Ints = std::vector<std::int64_t>;

ACLNN_FUNCTION(forward_function, "aclnnFlashAttentionVarLenScoreV2",
               "aclnnFlashAttentionVarLenScore")
ACLNN_FUNCTION(backward_function, "aclnnFlashAttentionUnpaddingScoreGradV2",
               "aclnnFlashAttentionUnpaddingScoreGrad")

constexpr int newest = 0;  // position in the lists above
constexpr const char* layout = "TND";

std::tuple<Tensor, Tensor, Tensor> flash_attention_varlen(
    const Tensor& query, const Tensor& key, const Tensor& value, const OptionalTensor& drop_mask,
    const Ints& query_ends, const Ints& key_ends, double scale, double keep_probability,
    std::int64_t before, std::int64_t after, std::int64_t sparse_mode) {
    const aclnn::Function& function = forward_function();
    const OptionalTensor mask = mask_for(query, sparse_mode);
    const Ints statistics = {query.size(0), query.size(1), statistics_columns};
    const Tensor max = make_empty(query, statistics, ScalarType::Float);
    const Tensor sum = make_empty(query, statistics, ScalarType::Float);
    const Tensor out = make_empty(query, output_sizes(query, key, value), query.scalar_type());
    const Tensor none = make_empty(query, {0}, query.scalar_type());
    const auto run = [&](const auto&... version_arguments) {
        call(function, query, query, key, value, no_tensor, drop_mask, no_tensor, mask, no_ints,
             query_ends, key_ends, version_arguments...);
    };
    const std::int64_t heads = query.size(1);
    if (function.version() == newest) {
        run(no_ints, no_ints, scale, keep_probability, before, after, heads, layout, high_precision,
            sparse_mode, bias_after_scale, max, sum, none, out);
    } else {
        run(scale, keep_probability, before, after, heads, layout, high_precision, sparse_mode, max,
            sum, none, out);
    }
    return {out, max, sum};
}

std::tuple<Tensor, Tensor, Tensor> flash_attention_varlen_backward(
    const Tensor& grad, const Tensor& query, const Tensor& key, const Tensor& value,
    const OptionalTensor& drop_mask, const Tensor& max, const Tensor& sum, const Tensor& out,
    const Ints& query_ends, const Ints& key_ends, double scale, double keep_probability,
    std::int64_t before, std::int64_t after, std::int64_t sparse_mode) {
    const aclnn::Function& function = backward_function();
    const OptionalTensor mask = mask_for(query, sparse_mode);
    const Tensor dq = make_empty_like(query);
    const Tensor dk = make_empty_like(key);
    const Tensor dv = make_empty_like(value);
    const Tensor none = make_empty(query, {0}, query.scalar_type());
    const auto run = [&](const auto&... version_arguments) {
        call(function, query, query, key, value, grad, no_tensor, drop_mask, no_tensor, mask, max,
             sum, no_tensor, out, no_ints, query_ends, key_ends, version_arguments...);
    };
    const std::int64_t heads = query.size(1);
    if (function.version() == newest) {
        run(no_ints, no_ints, scale, keep_probability, before, after, heads, layout, high_precision,
            sparse_mode, bias_after_scale, dq, dk, dv, none);
    } else {
        run(scale, keep_probability, before, after, heads, layout, high_precision, sparse_mode, dq,
            dk, dv, none);
    }
    return {dq, dk, dv};
}

}  // namespace

std::vector<aclnn::Kernel> varlen_kernels() {
    return {
        {"flash_attention_varlen", forward_function, TORCH_BOX(&flash_attention_varlen)},
        {"flash_attention_varlen_backward", backward_function,
         TORCH_BOX(&flash_attention_varlen_backward)},
    };
}

}  // namespace ascend_ops
