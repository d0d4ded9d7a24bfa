// flash_attention and its gradient on aclnn. Arguments are checked in ascend_ops/attention/.
#include <stdexcept>

#include "npu/attention/flash.h"
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

constexpr int kWithSinks = 0;
constexpr int kOldest = 2;

void refuse(const char* what, const OptionalTensor& given, const char* version,
            const aclnn::Function& function) {
    if (given.has_value()) {
        throw std::runtime_error(std::string(what) + ": expected a CANN with the " + version +
                                 " version of the function, found only " + function.name());
    }
}

std::vector<std::int64_t> statistics_sizes(const Tensor& query, std::int64_t heads,
                                           const std::string& layout) {
    const bool sequence_first = layout == "SBH";
    const std::int64_t batch = query.size(sequence_first ? 1 : 0);
    const std::int64_t length = query.size(layout == "BNSD" ? 2 : (sequence_first ? 0 : 1));
    return {batch, heads, length, kStatisticsColumns};
}

std::tuple<Tensor, Tensor, Tensor> flash_attention(
    const Tensor& query, const Tensor& key, const Tensor& value, const OptionalTensor& bias,
    const OptionalTensor& drop_mask, const OptionalTensor& mask, const OptionalTensor& sinks,
    const OptionalInts& prefix, double scale, double keep_probability, std::int64_t before,
    std::int64_t after, std::int64_t heads, const std::string& layout, std::int64_t sparse_mode) {
    const aclnn::Function& function = forward_function();
    const auto statistics = statistics_sizes(query, heads, layout);
    const Tensor max = make_empty(query, statistics, ScalarType::Float);
    const Tensor sum = make_empty(query, statistics, ScalarType::Float);
    const Tensor out = make_empty(query, output_sizes(query, key, value), query.scalar_type());
    const Tensor none = make_empty(query, {0}, query.scalar_type());
    const auto run = [&](const auto&... version_arguments) {
        call(function, query, query, key, value, bias, drop_mask, kNone, mask,
             version_arguments...);
    };
    if (function.version() == kWithSinks) {
        run(sinks, prefix, kNoInts, kNoInts, scale, keep_probability, before, after, heads, layout,
            kHighPrecision, sparse_mode, kBiasAfterScale, max, sum, none, out);
        return {out, max, sum};
    }
    refuse("sinks", sinks, "third", function);
    if (function.version() == kOldest) {
        refuse("a float attn_mask, alibi_slopes", bias, "second", function);
        run(prefix, scale, keep_probability, before, after, heads, layout, kHighPrecision,
            sparse_mode, max, sum, none, out);
    } else {
        run(prefix, kNoInts, kNoInts, scale, keep_probability, before, after, heads, layout,
            kHighPrecision, sparse_mode, kBiasAfterScale, max, sum, none, out);
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
    const Tensor dq = make_empty_like(query);
    const Tensor dk = make_empty_like(key);
    const Tensor dv = make_empty_like(value);
    const Tensor dsinks =
        sinks.has_value() ? make_empty_like(*sinks) : make_empty(query, {0}, ScalarType::Float);
    const Tensor none = make_empty(query, {0}, query.scalar_type());
    const auto run = [&](const auto&... version_arguments) {
        call(function, query, query, key, value, grad, bias, drop_mask, kNone, mask, max, sum,
             kNone, out, version_arguments...);
    };
    if (function.version() == kWithSinks) {
        const OptionalTensor of_sinks = sinks.has_value() ? OptionalTensor(dsinks) : std::nullopt;
        run(sinks, prefix, kNoInts, kNoInts, scale, keep_probability, before, after, heads, layout,
            kHighPrecision, sparse_mode, kBiasAfterScale, dq, dk, dv, none, of_sinks);
        return {dq, dk, dv, dsinks};
    }
    refuse("sinks", sinks, "third", function);
    if (function.version() == kOldest) {
        refuse("a float attn_mask, alibi_slopes", bias, "second", function);
        run(prefix, scale, keep_probability, before, after, heads, layout, kHighPrecision,
            sparse_mode, dq, dk, dv, none);
    } else {
        run(prefix, kNoInts, kNoInts, scale, keep_probability, before, after, heads, layout,
            kHighPrecision, sparse_mode, kBiasAfterScale, dq, dk, dv, none);
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
