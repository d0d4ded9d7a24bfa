// flash_attention and its gradient on aclnn. ascend_ops/attention/ checks the arguments.
#include "npu/attention/flash.h"
#include "npu/attention/capability.h"
#include "npu/attention/compressed_mask.h"
#include "npu/call/call.h"
#include "npu/call/outputs.h"
#include "npu/call/registration.h"

namespace ascend_ops {
namespace {

using aclnn::call;
using aclnn::make_empty;
using aclnn::make_empty_like;
using torch::headeronly::ScalarType;

ACLNN_FUNCTION(forward_function, "aclnnFlashAttentionScoreV3", "aclnnFlashAttentionScoreV2",
               "aclnnFlashAttentionScore")
ACLNN_FUNCTION(backward_function, "aclnnFlashAttentionScoreGradV3",
               "aclnnFlashAttentionScoreGradV2", "aclnnFlashAttentionScoreGrad")

// Positions in the lists above.
constexpr int with_sinks = 0;
constexpr int oldest = 2;

void check_version(const aclnn::Function& function, const OptionalTensor& bias,
                   const OptionalTensor& sinks, const char* newest, const char* second) {
    check_capability(!sinks.has_value() || function.version() == with_sinks,
                     "flash_attention with sinks", newest, function);
    check_capability(
        !bias.has_value() || function.version() != oldest,
        "flash_attention with a padding mask, or with a float attn_mask or alibi_slopes", second,
        function);
}

std::vector<std::int64_t> statistics_sizes(const Tensor& query, std::int64_t heads,
                                           const std::string& layout) {
    const bool sequence_first = layout == "SBH";
    const std::int64_t batch = query.size(sequence_first ? 1 : 0);
    const std::int64_t length = query.size(layout == "BNSD" ? 2 : (sequence_first ? 0 : 1));
    return {batch, heads, length, statistics_columns};
}

std::tuple<Tensor, Tensor, Tensor> flash_attention(
    const Tensor& query, const Tensor& key, const Tensor& value, const OptionalTensor& bias,
    const OptionalTensor& drop_mask, const OptionalTensor& mask, const OptionalTensor& sinks,
    const OptionalInts& prefix, double scale, double keep_probability, std::int64_t before,
    std::int64_t after, std::int64_t heads, const std::string& layout, std::int64_t sparse_mode) {
    const aclnn::Function& function = forward_function();
    check_version(function, bias, sinks, "aclnnFlashAttentionScoreV3",
                  "aclnnFlashAttentionScoreV2");
    const OptionalTensor mask_of_mode = mask_for(query, sparse_mode, mask);
    const auto statistics = statistics_sizes(query, heads, layout);
    const Tensor max = make_empty(query, statistics, ScalarType::Float);
    const Tensor sum = make_empty(query, statistics, ScalarType::Float);
    const Tensor out = make_empty(query, output_sizes(query, key, value), query.scalar_type());
    const Tensor none = make_empty(query, {0}, query.scalar_type());
    const auto run = [&](const auto&... version_arguments) {
        call(function, query, query, key, value, bias, drop_mask, no_tensor, mask_of_mode,
             version_arguments...);
    };
    if (function.version() == with_sinks) {
        run(sinks, prefix, no_ints, no_ints, scale, keep_probability, before, after, heads, layout,
            high_precision, sparse_mode, bias_after_scale, max, sum, none, out);
        return {out, max, sum};
    }
    if (function.version() == oldest) {
        run(prefix, scale, keep_probability, before, after, heads, layout, high_precision,
            sparse_mode, max, sum, none, out);
    } else {
        run(prefix, no_ints, no_ints, scale, keep_probability, before, after, heads, layout,
            high_precision, sparse_mode, bias_after_scale, max, sum, none, out);
    }
    return {out, max, sum};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> flash_attention_backward(
    const Tensor& grad, const Tensor& query, const Tensor& key, const Tensor& value,
    const OptionalTensor& bias, const OptionalTensor& drop_mask, const OptionalTensor& mask,
    const OptionalTensor& sinks, const Tensor& max, const Tensor& sum, const Tensor& out,
    const OptionalInts& prefix, double scale, double keep_probability, std::int64_t before,
    std::int64_t after, std::int64_t heads, const std::string& layout, std::int64_t sparse_mode) {
    const aclnn::Function& function = backward_function();
    check_version(function, bias, sinks, "aclnnFlashAttentionScoreGradV3",
                  "aclnnFlashAttentionScoreGradV2");
    const OptionalTensor mask_of_mode = mask_for(query, sparse_mode, mask);
    const Tensor dq = make_empty_like(query);
    const Tensor dk = make_empty_like(key);
    const Tensor dv = make_empty_like(value);
    const Tensor dsinks =
        sinks.has_value() ? make_empty_like(*sinks) : make_empty(query, {0}, ScalarType::Float);
    const Tensor none = make_empty(query, {0}, query.scalar_type());
    const auto run = [&](const auto&... version_arguments) {
        call(function, query, query, key, value, grad, bias, drop_mask, no_tensor, mask_of_mode,
             max, sum, no_tensor, out, version_arguments...);
    };
    if (function.version() == with_sinks) {
        const OptionalTensor of_sinks = sinks.has_value() ? OptionalTensor(dsinks) : std::nullopt;
        run(sinks, prefix, no_ints, no_ints, scale, keep_probability, before, after, heads, layout,
            high_precision, sparse_mode, bias_after_scale, dq, dk, dv, none, of_sinks);
        return {dq, dk, dv, dsinks};
    }
    if (function.version() == oldest) {
        run(prefix, scale, keep_probability, before, after, heads, layout, high_precision,
            sparse_mode, dq, dk, dv, none);
    } else {
        run(prefix, no_ints, no_ints, scale, keep_probability, before, after, heads, layout,
            high_precision, sparse_mode, bias_after_scale, dq, dk, dv, none);
    }
    return {dq, dk, dv, dsinks};
}

std::vector<aclnn::Kernel> kernels() {
    std::vector<aclnn::Kernel> found = {
        {"flash_attention", forward_function, TORCH_BOX(&flash_attention)},
        {"flash_attention_backward", backward_function, TORCH_BOX(&flash_attention_backward)},
    };
    for (const aclnn::Kernel& kernel : varlen_kernels()) {
        found.push_back(kernel);
    }
    return found;
}

}  // namespace

ASCEND_OPS_FAMILY(flash_attention, kernels)

}  // namespace ascend_ops
