// flash_attention_varlen and its gradient on aclnn. Arguments are checked in ascend_ops/attention/.
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

constexpr int kNewest = 0;
constexpr const char* kLayout = "TND";

std::tuple<Tensor, Tensor, Tensor> flash_attention_varlen(
    const Tensor& query, const Tensor& key, const Tensor& value, const OptionalTensor& drop_mask,
    const OptionalTensor& mask, const Ints& query_ends, const Ints& key_ends, double scale,
    double keep_probability, std::int64_t before, std::int64_t after, std::int64_t sparse_mode) {
    const aclnn::Function& function = forward_function();
    const Ints statistics = {query.size(0), query.size(1), kStatisticsColumns};
    const Tensor max = make_empty(query, statistics, ScalarType::Float);
    const Tensor sum = make_empty(query, statistics, ScalarType::Float);
    const Tensor out = make_empty(query, output_sizes(query, key, value), query.scalar_type());
    const Tensor none = make_empty(query, {0}, query.scalar_type());
    const auto run = [&](const auto&... version_arguments) {
        call(function, query, query, key, value, kNone, drop_mask, kNone, mask, kNoInts, query_ends,
             key_ends, version_arguments...);
    };
    const std::int64_t heads = query.size(1);
    if (function.version() == kNewest) {
        run(kNoInts, kNoInts, scale, keep_probability, before, after, heads, kLayout,
            kHighPrecision, sparse_mode, kBiasAfterScale, max, sum, none, out);
    } else {
        run(scale, keep_probability, before, after, heads, kLayout, kHighPrecision, sparse_mode,
            max, sum, none, out);
    }
    return {out, max, sum};
}

std::tuple<Tensor, Tensor, Tensor> flash_attention_varlen_backward(
    const Tensor& grad, const Tensor& query, const Tensor& key, const Tensor& value,
    const OptionalTensor& drop_mask, const OptionalTensor& mask, const Tensor& max,
    const Tensor& sum, const Tensor& out, const Ints& query_ends, const Ints& key_ends,
    double scale, double keep_probability, std::int64_t before, std::int64_t after,
    std::int64_t sparse_mode) {
    const aclnn::Function& function = backward_function();
    const Tensor dq = make_empty_like(query);
    const Tensor dk = make_empty_like(key);
    const Tensor dv = make_empty_like(value);
    const Tensor none = make_empty(query, {0}, query.scalar_type());
    const auto run = [&](const auto&... version_arguments) {
        call(function, query, query, key, value, grad, kNone, drop_mask, kNone, mask, max, sum,
             kNone, out, kNoInts, query_ends, key_ends, version_arguments...);
    };
    const std::int64_t heads = query.size(1);
    if (function.version() == kNewest) {
        run(kNoInts, kNoInts, scale, keep_probability, before, after, heads, kLayout,
            kHighPrecision, sparse_mode, kBiasAfterScale, dq, dk, dv, none);
    } else {
        run(scale, keep_probability, before, after, heads, kLayout, kHighPrecision, sparse_mode, dq,
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
