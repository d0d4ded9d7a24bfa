// FusedInferAttentionScore, PromptFlashAttention and IncreFlashAttention, oldest version first.
// Quantised, left-padded and shared-prefix caches are refused.
#include "emulator/ops/attention/serving_attention.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace {

const Tensor& only(const char* name, const Tensors& list) {
    require(
        list.size() == 1 && list[0].defined(),
        std::string(name) + " must be a list of one tensor, got " + std::to_string(list.size()));
    return list[0];
}

Int or_heads(Int key_heads, Int heads) { return key_heads == 0 ? heads : key_heads; }

struct Lengths {
    Ints queries;
    Ints keys;
};

/// The rotated parts of query and key, of multi-head latent attention.
struct Rope {
    Tensor query;
    Tensor key;
};

/// A window that leaves nothing out.
constexpr Int whole = 2147483647;

struct Attributes {
    Int heads;
    double scale;
    Int before;
    Int after;
    String layout;
    Int key_heads;
    Int sparse_mode;
    Int inner_precise;
    Int block_size;
};

void check_block_size(const Attributes& with, Int max) {
    require(with.block_size > 0 && with.block_size <= max && with.block_size % 16 == 0,
            "blockSize must be a multiple of 16 of at most " + std::to_string(max) + ", got " +
                std::to_string(with.block_size));
}

/// The arguments that all three functions treat alike.
ServingAttention attention_of(const Tensor& query, const Tensor& bias, const Tensor& mask,
                              const Attributes& with) {
    ServingAttention attention;
    attention.query = query;
    attention.bias = bias;
    attention.mask = mask;
    attention.heads = with.heads;
    attention.key_heads = or_heads(with.key_heads, with.heads);
    attention.scale = with.scale;
    attention.layout = with.layout;
    attention.before = with.before;
    attention.after = with.after;
    return attention;
}

/// Whether rows that are masked out as a whole become 0.
bool corrects_masked_rows(const Attributes& with) {
    return with.sparse_mode == 3 || with.inner_precise >= 2;
}

/// The emulated part of all versions of FusedInferAttentionScore.
void fused_infer(bool wants_950, const Tensor& query, const Tensors& key, const Tensors& value,
                 const Tensor& bias, const Tensor& mask, const Lengths& lengths,
                 const Tensor& block_table, const Attributes& with, bool wants_lse, const Out& out,
                 const Out& lse, const Rope& rope) {
    require(wants_950 == is_ascend950(),
            wants_950 ? "V5 requires an Ascend 950" : "V1 to V4 do not exist on an Ascend 950");
    ServingAttention attention = attention_of(query, bias, mask, with);
    attention.key = only("key", key);
    attention.value = only("value", value);
    attention.query_rope = rope.query;
    attention.key_rope = rope.key;
    attention.block_table = block_table;
    attention.query_lengths = lengths.queries;
    attention.needs_no_length_of_one = true;
    attention.key_lengths = lengths.keys;
    attention.sparse_mode = with.sparse_mode;
    attention.block_size = with.block_size;
    attention.corrects_masked_rows = corrects_masked_rows(with);
    if (block_table.defined()) {
        check_block_size(with, 1024);
    }
    require(!wants_lse || lse.tensor.numel() > 0, "softmaxLse must be given with softmaxLseFlag");
    attention.run(out, wants_lse ? lse : Out());
}

}  // namespace

#define FIVE_SCALES(FIRST, SECOND)                                                 \
    REFUSED(Tensor, FIRST), REFUSED(Tensor, quantScale1), REFUSED(Tensor, SECOND), \
        REFUSED(Tensor, quantScale2), REFUSED(Tensor, quantOffset2)
#define ANTIQUANT_TENSORS REFUSED(Tensor, antiquantScale), REFUSED(Tensor, antiquantOffset)
#define SHARED_PREFIX_TENSORS                                                        \
    REFUSED(Tensor, keyAntiquantScale), REFUSED(Tensor, keyAntiquantOffset),         \
        REFUSED(Tensor, valueAntiquantScale), REFUSED(Tensor, valueAntiquantOffset), \
        REFUSED(Tensor, keySharedPrefix), REFUSED(Tensor, valueSharedPrefix),        \
        REFUSED(Ints, actualSharedPrefixLen)
#define ROPE_TENSORS \
    Optional<Tensor> queryRope, Optional<Tensor> keyRope, REFUSED(Tensor, keyRopeAntiquantScale)
#define SINK_TENSORS REFUSED(Tensor, dequantScaleQuery), REFUSED(Tensor, learnableSink)
#define FUSED_INFER_INPUTS                                                                  \
    Tensor query, Tensors key, Tensors value, Optional<Tensor> bias, Optional<Tensor> mask, \
        Ints query_lengths, Ints key_lengths, FIVE_SCALES(deqScale1, deqScale2),            \
        ANTIQUANT_TENSORS, Optional<Tensor> block_table, REFUSED(Tensor, queryPaddingSize), \
        REFUSED(Tensor, kvPaddingSize)
// The modes of quantisation are unused, as they belong to tensors that are refused.
#define FUSED_INFER_ATTRIBUTES                                                                     \
    Int heads, double scale, Int before, Int after, String layout, Int key_heads, Int sparse_mode, \
        Int inner_precise, Int block_size, Unused<Int>, bool wants_lse
#define FUSED_INFER(wants_950, rope)                                                              \
    fused_infer(                                                                                  \
        wants_950, query, key, value, bias, mask, {query_lengths, key_lengths}, block_table,      \
        {heads, scale, before, after, layout, key_heads, sparse_mode, inner_precise, block_size}, \
        wants_lse, out, lse, rope)

ACLNN_CHECKED(aclnnFusedInferAttentionScore, FUSED_INFER_INPUTS, FUSED_INFER_ATTRIBUTES, Out out,
              Optional<Out> lse) {
    require(layout != "TND", "layout TND requires V3 or newer");
    FUSED_INFER(false, Rope());
}
ACLNN_CHECKED(aclnnFusedInferAttentionScoreV2, FUSED_INFER_INPUTS, SHARED_PREFIX_TENSORS,
              FUSED_INFER_ATTRIBUTES, Unused<Int>, Unused<Int>, Out out, Optional<Out> lse) {
    require(layout != "TND", "layout TND requires V3 or newer");
    FUSED_INFER(false, Rope());
}
ACLNN_CHECKED(aclnnFusedInferAttentionScoreV3, FUSED_INFER_INPUTS, SHARED_PREFIX_TENSORS,
              ROPE_TENSORS, FUSED_INFER_ATTRIBUTES, Unused<Int>, Unused<Int>, Out out,
              Optional<Out> lse) {
    FUSED_INFER(false, (Rope{queryRope, keyRope}));
}
ACLNN_CHECKED(aclnnFusedInferAttentionScoreV4, FUSED_INFER_INPUTS, SHARED_PREFIX_TENSORS,
              ROPE_TENSORS, SINK_TENSORS, FUSED_INFER_ATTRIBUTES, Unused<Int>, Unused<Int>,
              Unused<Int>, Out out, Optional<Out> lse) {
    FUSED_INFER(false, (Rope{queryRope, keyRope}));
}
ACLNN_CHECKED(aclnnFusedInferAttentionScoreV5, FUSED_INFER_INPUTS, SHARED_PREFIX_TENSORS,
              ROPE_TENSORS, SINK_TENSORS, REFUSED(Ints, qStartIdx), REFUSED(Ints, kvStartIdx),
              FUSED_INFER_ATTRIBUTES, Unused<Int>, Unused<Int>, Unused<Int>, REFUSED(Int, pseType),
              Out out, Optional<Out> lse) {
    FUSED_INFER(true, (Rope{queryRope, keyRope}));
}

// The largest workspace of any lengths, for calls that a captured graph updates. The workspace here
// does not depend on them.
#define MAX_WORKSPACE(NAME)                          \
    extern "C" __attribute__((visibility("default"), \
                              ifunc(#NAME "_resolve"))) void NAME##GetMaxWorkspaceSize();
MAX_WORKSPACE(aclnnFusedInferAttentionScoreV3)
MAX_WORKSPACE(aclnnFusedInferAttentionScoreV4)
MAX_WORKSPACE(aclnnFusedInferAttentionScoreV5)

namespace {

void prompt(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& bias,
            const Tensor& mask, const Lengths& lengths, const Attributes& with, const Out& out) {
    require(!is_ascend950(), "PromptFlashAttention does not exist on an Ascend 950");
    if (with.layout == "TND") {
        not_emulated("inputLayout TND of PromptFlashAttention");
    }
    ServingAttention attention = attention_of(query, bias, mask, with);
    attention.key = key;
    attention.value = value;
    attention.query_lengths = lengths.queries;
    attention.key_lengths = lengths.keys;
    attention.sparse_mode = with.sparse_mode;
    attention.corrects_masked_rows = corrects_masked_rows(with);
    attention.run(out, Out());
}

void incre(const Tensor& query, const Tensors& key, const Tensors& value, const Tensor& bias,
           const Tensor& mask, const Ints& lengths, const Tensor& block_table,
           const Attributes& with, const Out& out) {
    require(!is_ascend950(), "IncreFlashAttention does not exist on an Ascend 950");
    require(with.inner_precise == 0 || with.inner_precise == 1,
            "innerPrecise must be 0 or 1, got " + std::to_string(with.inner_precise));
    const Int queries = query.size(with.layout == "BNSD" ? 2 : 1);
    require(queries == 1, "query must have one token, got " + std::to_string(queries));
    ServingAttention attention = attention_of(query, bias, mask, with);
    attention.key = only("key", key);
    attention.value = only("value", value);
    attention.block_table = block_table;
    attention.key_lengths = lengths;
    attention.block_size = with.block_size;
    if (block_table.defined()) {
        check_block_size(with, 512);
    }
    attention.run(out, Out());
}

}  // namespace

// V1 and V2 do not correct rows that are masked out as a whole.
ACLNN_CHECKED(aclnnPromptFlashAttention, Tensor query, Tensor key, Tensor value,
              Optional<Tensor> bias, Optional<Tensor> mask, Ints query_lengths, Int heads,
              double scale, Int before, Int after, String layout, Int key_heads, Out out) {
    prompt(query, key, value, bias, mask, {query_lengths, {}},
           {heads, scale, before, after, layout, key_heads, 0, 0, 0}, out);
}
ACLNN_CHECKED(aclnnPromptFlashAttentionV2, Tensor query, Tensor key, Tensor value,
              Optional<Tensor> bias, Optional<Tensor> mask, Ints query_lengths, Ints key_lengths,
              FIVE_SCALES(deqScale1, deqScale2), Int heads, double scale, Int before, Int after,
              String layout, Int key_heads, Int sparse_mode, Out out) {
    prompt(query, key, value, bias, mask, {query_lengths, key_lengths},
           {heads, scale, before, after, layout, key_heads, sparse_mode, 0, 0}, out);
}
ACLNN_CHECKED(aclnnPromptFlashAttentionV3, Tensor query, Tensor key, Tensor value,
              Optional<Tensor> bias, Optional<Tensor> mask, Ints query_lengths, Ints key_lengths,
              FIVE_SCALES(deqScale1, deqScale2), Int heads, double scale, Int before, Int after,
              String layout, Int key_heads, Int sparse_mode, Int inner_precise, Out out) {
    prompt(query, key, value, bias, mask, {query_lengths, key_lengths},
           {heads, scale, before, after, layout, key_heads, sparse_mode, inner_precise, 0}, out);
}

ACLNN_CHECKED(aclnnIncreFlashAttention, Tensor query, Tensors key, Tensors value,
              Optional<Tensor> bias, Optional<Tensor> mask, Ints lengths, Int heads, double scale,
              String layout, Int key_heads, Out out) {
    incre(query, key, value, bias, mask, lengths, Tensor(),
          {heads, scale, whole, whole, layout, key_heads, 0, 0, 0}, out);
}
ACLNN_CHECKED(aclnnIncreFlashAttentionV2, Tensor query, Tensors key, Tensors value,
              Optional<Tensor> bias, Optional<Tensor> mask, Ints lengths,
              FIVE_SCALES(dequantScale1, dequantScale2), Int heads, double scale, String layout,
              Int key_heads, Out out) {
    incre(query, key, value, bias, mask, lengths, Tensor(),
          {heads, scale, whole, whole, layout, key_heads, 0, 0, 0}, out);
}
ACLNN_CHECKED(aclnnIncreFlashAttentionV3, Tensor query, Tensors key, Tensors value,
              Optional<Tensor> bias, Optional<Tensor> mask, Ints lengths,
              FIVE_SCALES(dequantScale1, dequantScale2), ANTIQUANT_TENSORS,
              Optional<Tensor> block_table, Int heads, double scale, String layout, Int key_heads,
              Int block_size, Int inner_precise, Out out) {
    incre(query, key, value, bias, mask, lengths, block_table,
          {heads, scale, whole, whole, layout, key_heads, 0, inner_precise, block_size}, out);
}
ACLNN_CHECKED(aclnnIncreFlashAttentionV4, Tensor query, Tensors key, Tensors value,
              Optional<Tensor> bias, Optional<Tensor> mask, Ints lengths,
              FIVE_SCALES(dequantScale1, dequantScale2), ANTIQUANT_TENSORS,
              Optional<Tensor> block_table, REFUSED(Tensor, kvPaddingSize), Int heads, double scale,
              String layout, Int key_heads, Int block_size, Int inner_precise, Out out) {
    incre(query, key, value, bias, mask, lengths, block_table,
          {heads, scale, whole, whole, layout, key_heads, 0, inner_precise, block_size}, out);
}
