// Flash attention for training: the versions of CANN's functions, oldest first.
#include "emulator/ops/attention/flash_attention.h"
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace ascend_emulator {

Tensor Layout::to_bnsd(const Tensor& x, Int count) const {
    if (name == "BNSD") {
        return x;
    }
    if (name == "BSND") {
        return x.permute({0, 2, 1, 3});
    }
    if (name == "BSH") {
        return x.reshape({x.size(0), x.size(1), count, -1}).permute({0, 2, 1, 3});
    }
    if (name == "SBH") {
        return x.reshape({x.size(0), x.size(1), count, -1}).permute({1, 2, 0, 3});
    }
    not_emulated("inputLayout " + name);
}

Tensor Layout::from_bnsd(const Tensor& x) const {
    if (name == "BNSD") {
        return x;
    }
    if (name == "BSND") {
        return x.permute({0, 2, 1, 3});
    }
    if (name == "BSH") {
        return x.permute({0, 2, 1, 3}).reshape({x.size(0), x.size(2), -1});
    }
    return x.permute({2, 0, 1, 3}).reshape({x.size(2), x.size(0), -1});
}

Int Layout::kv_heads(const Tensor& query, const Tensor& key) const {
    if (name == "BNSD") {
        return key.size(1);
    }
    return name == "BSND" ? key.size(2) : key.size(2) / (query.size(2) / heads);
}

AttentionInputs Layout::converted(AttentionInputs in) const {
    const Int shared = kv_heads(in.query, in.key);
    in.query = to_bnsd(in.query, heads);
    in.key = to_bnsd(in.key, shared);
    in.value = to_bnsd(in.value, shared);
    if (given(in.query_rope).defined()) {
        in.query_rope = to_bnsd(in.query_rope, heads);
        in.key_rope = to_bnsd(in.key_rope, shared);
    }
    return in;
}

void dense_attention(const Layout& layout, const AttentionInputs& inputs,
                     const StatisticsOutputs& statistics, const Out& out) {
    check_emulated(inputs);
    const AttentionResult result = attention(layout.converted(inputs));
    out = layout.from_bnsd(result.output);
    statistics.max.fill(result.max);  // 8 equal columns
    statistics.sum.fill(result.sum);
}

void dense_attention_backward(const Layout& layout, const AttentionInputs& inputs, const Tensor& dy,
                              const GradientOutputs& gradients) {
    check_emulated(inputs);
    const AttentionGradients found =
        attention_gradients(layout.converted(inputs), layout.to_bnsd(dy, layout.heads));
    gradients.query = layout.from_bnsd(found.query);
    gradients.key = layout.from_bnsd(found.key);
    gradients.value = layout.from_bnsd(found.value);
    gradients.bias = found.bias;
    gradients.sink = found.sink;
    if (found.query_rope.defined()) {
        gradients.query_rope = layout.from_bnsd(found.query_rope);
        gradients.key_rope = layout.from_bnsd(found.key_rope);
    }
}

}  // namespace ascend_emulator

// The parameters of all versions. What is unused cannot change the result: innerPrecise is a hint,
// softmaxOut stays empty on a device as well, the gradients compute the results of the forward pass
// again, and the start indices belong to pse types that are refused.
#define SCORE_INPUTS                                                                           \
    Tensor query, Tensor key, Tensor value, Optional<Tensor> bias, Optional<Tensor> drop_mask, \
        REFUSED(Tensor, paddingMask), Optional<Tensor> mask
#define SCORE_GRAD_INPUTS                                                                \
    Tensor query, Tensor key, Tensor value, Tensor dy, Optional<Tensor> bias,            \
        Optional<Tensor> drop_mask, REFUSED(Tensor, paddingMask), Optional<Tensor> mask, \
        Unused<Tensor>, Unused<Tensor>, Unused<Tensor>, Unused<Tensor>
#define SCORE_ATTRIBUTES                                                                         \
    double scale, double keep_probability, Int before, Int after, Int heads, String layout_name, \
        Unused<Int>, Int sparse_mode
#define START_INDICES Unused<Ints>, Unused<Ints>
#define SCORE_OUTPUTS Out softmax_max, Out softmax_sum, Unused<Out>, Out out
#define OPERANDS_OF_SCORE(SINK, PSE_TYPE) \
    {query,                               \
     key,                                 \
     value,                               \
     bias,                                \
     drop_mask,                           \
     mask,                                \
     SINK,                                \
     prefix.values,                       \
     scale,                               \
     keep_probability,                    \
     {sparse_mode, before, after},        \
     PSE_TYPE}
#define FORWARD(SINK, PSE_TYPE)                                              \
    dense_attention({layout_name, heads}, OPERANDS_OF_SCORE(SINK, PSE_TYPE), \
                    {softmax_max, softmax_sum}, out)
#define BACKWARD(SINK, DSINK, PSE_TYPE)                                                   \
    dense_attention_backward({layout_name, heads}, OPERANDS_OF_SCORE(SINK, PSE_TYPE), dy, \
                             {dq, dk, dv, dpse, DSINK})

ACLNN_CHECKED(aclnnFlashAttentionScore, SCORE_INPUTS, OptionalInts prefix, SCORE_ATTRIBUTES,
              SCORE_OUTPUTS) {
    FORWARD(Tensor(), bias_before_scale);
}
ACLNN_CHECKED(aclnnFlashAttentionScoreV2, SCORE_INPUTS, OptionalInts prefix, START_INDICES,
              SCORE_ATTRIBUTES, Int pse_type, SCORE_OUTPUTS) {
    FORWARD(Tensor(), pse_type);
}
ACLNN_CHECKED(aclnnFlashAttentionScoreV3, SCORE_INPUTS, Optional<Tensor> sink, OptionalInts prefix,
              START_INDICES, SCORE_ATTRIBUTES, Int pse_type, SCORE_OUTPUTS) {
    FORWARD(sink, pse_type);
}

ACLNN_CHECKED(aclnnFlashAttentionScoreGrad, SCORE_GRAD_INPUTS, OptionalInts prefix,
              SCORE_ATTRIBUTES, Out dq, Out dk, Out dv, Optional<Out> dpse) {
    BACKWARD(Tensor(), Out(), bias_before_scale);
}
ACLNN_CHECKED(aclnnFlashAttentionScoreGradV2, SCORE_GRAD_INPUTS, OptionalInts prefix, START_INDICES,
              SCORE_ATTRIBUTES, Int pse_type, Out dq, Out dk, Out dv, Optional<Out> dpse) {
    BACKWARD(Tensor(), Out(), pse_type);
}
ACLNN_CHECKED(aclnnFlashAttentionScoreGradV3, SCORE_GRAD_INPUTS, Optional<Tensor> sink,
              OptionalInts prefix, START_INDICES, SCORE_ATTRIBUTES, Int pse_type, Out dq, Out dk,
              Out dv, Optional<Out> dpse, Optional<Out> dsink) {
    BACKWARD(sink, dsink, pse_type);
}
