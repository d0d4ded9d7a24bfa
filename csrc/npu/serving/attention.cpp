// paged_attention, prompt_flash_attention and incre_flash_attention on aclnn. ascend_ops/serving/
// checks the arguments.
#include <torch/csrc/stable/ops.h>

#include "npu/attention/capability.h"
#include "npu/attention/compressed_mask.h"
#include "npu/call/call.h"
#include "npu/call/outputs.h"
#include "npu/call/registration.h"
#include "npu/call/soc.h"

namespace ascend_ops {
namespace {

using aclnn::Function;
using aclnn::is_ascend950;
using aclnn::make_empty;
using aclnn::make_empty_like;
using aclnn::sizes_of;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Lengths = std::vector<std::int64_t>;

constexpr std::int64_t all_tokens = 2147483647;
constexpr std::int64_t zero = 0;
constexpr std::int64_t correct_masked_rows = 2;  // "innerPrecise": such rows become 0
const std::optional<Tensor> no_tensor;
const std::optional<Lengths> no_lengths;

/// Ascend 950 has only V5, and the other SoCs lack it.
const Function& fused_infer_function() {
    static const Function found =
        is_ascend950()
            ? Function{"aclnnFusedInferAttentionScoreV5"}
            : Function{"aclnnFusedInferAttentionScoreV4", "aclnnFusedInferAttentionScoreV3",
                       "aclnnFusedInferAttentionScoreV2", "aclnnFusedInferAttentionScore"};
    return found;
}
ACLNN_FUNCTION(prompt_function, "aclnnPromptFlashAttentionV3", "aclnnPromptFlashAttentionV2",
               "aclnnPromptFlashAttention")
ACLNN_FUNCTION(incre_function, "aclnnIncreFlashAttentionV4", "aclnnIncreFlashAttentionV3",
               "aclnnIncreFlashAttentionV2", "aclnnIncreFlashAttention")

/// Call `function` with the arguments of several tuples.
template <class... Tuples>
void call_joined(const Function& function, const Tensor& like, const Tuples&... tuples) {
    std::apply([&](const auto&... arguments) { aclnn::call(function, like, arguments...); },
               std::tuple_cat(tuples...));
}

/// Join heads and head size of [blocks, block size, heads, head size], as CANN requires.
Tensor joined_heads(const Tensor& cache) {
    return torch::stable::view(cache,
                               {cache.size(0), cache.size(1), cache.size(2) * cache.size(3)});
}

/// A paged cache in either of CANN's layouts.
struct PagedCache {
    PagedCache(const Tensor& key_cache, const Tensor& value_cache, const std::string& layout)
        : heads_first(layout == "BnNBsD"),
          block_size(key_cache.size(heads_first ? 2 : 1)),
          key_heads(key_cache.size(heads_first ? 1 : 2)),
          key{heads_first ? key_cache : joined_heads(key_cache)},
          value{heads_first ? value_cache : joined_heads(value_cache)} {}
    bool heads_first;
    std::int64_t block_size;
    std::int64_t key_heads;
    std::vector<Tensor> key;
    std::vector<Tensor> value;
};

using AttentionAttributes =
    std::tuple<std::int64_t, double, std::int64_t, std::int64_t, std::string, std::int64_t,
               std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool>;

/// Call the function that this CANN has: all versions share `inputs` and `attributes`, and newer
/// ones declare further arguments between them.
template <class Inputs>
void fused_infer(const Tensor& query, const Inputs& inputs, const AttentionAttributes& attributes,
                 const Tensor& out, const Tensor& lse) {
    const Function& function = fused_infer_function();
    const auto outputs = std::tie(out, lse);
    if (function.version() == 3) {
        call_joined(function, query, inputs, attributes, outputs);
        return;
    }
    const auto prefix =
        std::tie(no_tensor, no_tensor, no_tensor, no_tensor, no_tensor, no_tensor, no_lengths);
    const auto rope = std::tie(no_tensor, no_tensor, no_tensor);
    const auto sink = std::tie(no_tensor, no_tensor);  // scale of the query, learnable sink
    const auto modes = std::tie(zero, zero);
    if (is_ascend950()) {
        call_joined(function, query, inputs, prefix, rope, sink, std::tie(no_lengths, no_lengths),
                    attributes, modes, modes, outputs);
    } else if (function.version() == 0) {
        call_joined(function, query, inputs, prefix, rope, sink, attributes, modes, std::tie(zero),
                    outputs);
    } else if (function.version() == 1) {
        call_joined(function, query, inputs, prefix, rope, attributes, modes, outputs);
    } else {
        call_joined(function, query, inputs, prefix, attributes, modes, outputs);
    }
}

/// Return the end of each sequence: CANN takes no leading 0.
std::optional<Lengths> ends_of(const std::optional<Lengths>& cu_seqlens_q) {
    return cu_seqlens_q.has_value()
               ? std::optional<Lengths>(Lengths(cu_seqlens_q->begin() + 1, cu_seqlens_q->end()))
               : std::nullopt;
}

/// Return the sizes of the log-sum-exps without their last dimension, which is 1.
std::vector<std::int64_t> lse_sizes(const Tensor& query, const std::string& layout) {
    std::vector<std::int64_t> sizes = sizes_of(query);
    sizes.pop_back();
    if (layout == "BSND") {
        std::swap(sizes[1], sizes[2]);
    }
    return sizes;
}

std::tuple<Tensor, Tensor> paged_attention(const Tensor& query, const Tensor& key_cache,
                                           const Tensor& value_cache, const Tensor& block_table,
                                           const Lengths& seq_lens,
                                           const std::optional<Lengths>& cu_seqlens_q,
                                           const std::string& layout,
                                           const std::string& cache_layout, bool is_causal,
                                           double scale, bool return_lse) {
    Tensor out = make_empty_like(query);
    Tensor lse =
        make_empty(query, return_lse ? lse_sizes(query, layout) : Lengths{0}, ScalarType::Float);
    if (query.numel() == 0) {
        return {out, lse};
    }
    const Function& function = fused_infer_function();
    check_capability(!cu_seqlens_q.has_value() || is_ascend950() || function.version() <= 1,
                     "paged_attention with cu_seqlens_q", "aclnnFusedInferAttentionScoreV3",
                     function);
    // With one query per sequence, [B, N, D] is [B, N, 1, D] in memory.
    const bool is_decode = layout == "TND" && !cu_seqlens_q.has_value();
    const auto as_cann = [&](const Tensor& x) {
        return is_decode ? torch::stable::unsqueeze(x, 2) : x;
    };
    const PagedCache cache(key_cache, value_cache, cache_layout);
    const Tensor rows = as_cann(query);
    const std::int64_t sparse_mode = is_causal ? lower_right_mode : zero;
    const std::optional<Tensor> mask = mask_for(query, sparse_mode);
    const std::optional<Lengths> ends = ends_of(cu_seqlens_q);
    const auto inputs = std::tie(rows, cache.key, cache.value, no_tensor, mask, ends, seq_lens,
                                 no_tensor, no_tensor, no_tensor, no_tensor, no_tensor, no_tensor,
                                 no_tensor, block_table, no_tensor, no_tensor);
    const AttentionAttributes attributes{query.size(layout == "BSND" ? 2 : 1),
                                         scale,
                                         all_tokens,
                                         all_tokens,
                                         is_decode ? "BNSD" : layout,
                                         cache.key_heads,
                                         sparse_mode,
                                         zero,
                                         cache.block_size,
                                         zero,
                                         return_lse};
    const Tensor lse_out = return_lse ? torch::stable::unsqueeze(as_cann(lse), -1) : lse;
    fused_infer(query, inputs, attributes, as_cann(out), lse_out);
    return {out, lse};
}

Tensor prompt_flash_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                              const std::optional<Tensor>& masked_out,
                              const std::optional<Tensor>& bias,
                              const std::optional<Lengths>& seq_lens_q,
                              const std::optional<Lengths>& seq_lens_kv, const std::string& layout,
                              std::int64_t num_heads, std::int64_t num_kv_heads,
                              std::int64_t sparse_mode, double scale) {
    Tensor out = make_empty_like(query);
    if (query.numel() == 0) {
        return out;
    }
    const Function& function = prompt_function();
    const std::optional<Tensor> mask = mask_for(query, sparse_mode, masked_out);
    const auto inputs = std::tie(query, key, value, bias, mask, seq_lens_q);
    const auto quantisation = std::tie(no_tensor, no_tensor, no_tensor, no_tensor, no_tensor);
    const auto attributes =
        std::tie(num_heads, scale, all_tokens, all_tokens, layout, num_kv_heads);
    if (function.version() == 2) {
        check_capability(sparse_mode == 0, "prompt_flash_attention with is_causal",
                         "aclnnPromptFlashAttentionV2", function);
        check_capability(!seq_lens_kv.has_value(), "prompt_flash_attention with seq_lens_kv",
                         "aclnnPromptFlashAttentionV2", function);
        call_joined(function, query, inputs, attributes, std::tie(out));
        return out;
    }
    const bool is_masked = masked_out.has_value() || bias.has_value();
    const std::int64_t inner_precise = is_masked ? correct_masked_rows : zero;
    if (function.version() == 1) {
        call_joined(function, query, inputs, std::tie(seq_lens_kv), quantisation, attributes,
                    std::tie(sparse_mode, out));
    } else {
        call_joined(function, query, inputs, std::tie(seq_lens_kv), quantisation, attributes,
                    std::tie(sparse_mode, inner_precise, out));
    }
    return out;
}

Tensor incre_flash_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                             const std::optional<Tensor>& masked_out,
                             const std::optional<Tensor>& bias,
                             const std::optional<Lengths>& seq_lens_kv,
                             const std::optional<Tensor>& block_table, const std::string& layout,
                             const std::string& cache_layout, std::int64_t num_heads,
                             std::int64_t num_kv_heads, double scale) {
    Tensor out = make_empty_like(query);
    if (query.numel() == 0) {
        return out;
    }
    const Function& function = incre_function();
    std::vector<Tensor> keys = {key};
    std::vector<Tensor> values = {value};
    std::int64_t block_size = 0;
    if (block_table.has_value()) {
        check_capability(function.version() <= 1, "incre_flash_attention with block_table",
                         "aclnnIncreFlashAttentionV3", function);
        PagedCache cache(key, value, cache_layout);
        block_size = cache.block_size;
        keys = std::move(cache.key);
        values = std::move(cache.value);
    }
    const auto inputs = std::tie(query, keys, values, bias, masked_out, seq_lens_kv);
    const auto quantisation = std::tie(no_tensor, no_tensor, no_tensor, no_tensor, no_tensor);
    const auto attributes = std::tie(num_heads, scale, layout, num_kv_heads);
    if (function.version() == 3) {
        call_joined(function, query, inputs, attributes, std::tie(out));
    } else if (function.version() == 2) {
        call_joined(function, query, inputs, quantisation, attributes, std::tie(out));
    } else if (function.version() == 1) {
        call_joined(function, query, inputs, quantisation,
                    std::tie(no_tensor, no_tensor, block_table), attributes,
                    std::tie(block_size, zero, out));
    } else {
        call_joined(function, query, inputs, quantisation,
                    std::tie(no_tensor, no_tensor, block_table, no_tensor), attributes,
                    std::tie(block_size, zero, out));
    }
    return out;
}

std::vector<aclnn::Kernel> kernels() {
    return {
        {"paged_attention", fused_infer_function, TORCH_BOX(&paged_attention)},
        {"prompt_flash_attention", prompt_function, TORCH_BOX(&prompt_flash_attention)},
        {"incre_flash_attention", incre_function, TORCH_BOX(&incre_flash_attention)},
    };
}

}  // namespace

ASCEND_OPS_FAMILY(serving_attention, kernels)

}  // namespace ascend_ops
