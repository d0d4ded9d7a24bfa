// Flash attention for training in all layouts: what an Ascend 950 calls for TND as well.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/attention/flash_attention.h"
#include "emulator/ops/attention/packed_mask.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace {

/// The number of scores of a batch: heads * queries * keys of each sequence.
Int scores_of(const Layout& layout, const AttentionInputs& in, const OptionalInts& query_ends,
              const OptionalInts& key_ends) {
    if (layout.name != "TND") {
        const AttentionInputs laid_out = layout.converted(in);
        return laid_out.query.size(0) * layout.heads * laid_out.query.size(2) *
               laid_out.key.size(2);
    }
    const std::vector<Int> queries = query_ends.values.value_or(std::vector<Int>());
    const std::vector<Int> keys = key_ends.values.value_or(std::vector<Int>());
    Int count = 0;
    Int query = 0;
    Int key = 0;
    for (std::size_t i = 0; i < queries.size(); ++i) {
        count += (queries[i] - query) * (keys.at(i) - key);
        query = queries[i];
        key = keys[i];
    }
    return count * in.query.size(1);
}

/// Without a mask, the seed and the offset give one: the same in both passes.
void draw_mask(AttentionInputs& in, const Layout& layout, const OptionalInts& query_ends,
               const OptionalInts& key_ends, Int seed, Int offset) {
    if (in.keep_probability >= 1 || given(in.drop_mask).defined()) {
        return;
    }
    const Int count = scores_of(layout, in, query_ends, key_ends);
    const Tensor keep = full({count}, Scalar{0.0}, DType::float32);
    aten("bernoulli_.float", keep, in.keep_probability, Seed(seed, offset));
    in.drop_mask = pack_mask(keep, {(count + 7) / 8});
}

void check_ends(const Layout& layout, const OptionalInts& query_ends,
                const OptionalInts& key_ends) {
    const bool both = query_ends.values && key_ends.values &&
                      query_ends.values->size() == key_ends.values->size();
    require(layout.name != "TND" || both,
            "actualSeqQLen and actualSeqKvLen must be given with layout TND, with one length per "
            "sequence");
}

}  // namespace

// outDtype is that of quantized attention, whose scales are refused.
#define V4_SCALES(...) \
    REFUSED(Tensor, dScaleQ), REFUSED(Tensor, dScaleK), REFUSED(Tensor, dScaleV) __VA_ARGS__
#define V4_OPERANDS                           \
    const Layout layout{layout_name, heads};  \
    AttentionInputs in{query,                 \
                       key,                   \
                       value,                 \
                       bias,                  \
                       drop_mask,             \
                       mask,                  \
                       sink,                  \
                       prefix.values,         \
                       scale,                 \
                       keep_probability,      \
                       {mode, before, after}, \
                       pse_type,              \
                       query_rope,            \
                       key_rope};             \
    check_emulated(in);                       \
    check_ends(layout, query_ends, key_ends); \
    draw_mask(in, layout, query_ends, key_ends, seed, offset)

ACLNN_CHECKED(aclnnFlashAttentionScoreV4, Tensor query, Tensor key, Tensor value,
              Optional<Tensor> bias, Optional<Tensor> drop_mask, REFUSED(Tensor, paddingMask),
              Optional<Tensor> mask, Optional<Tensor> query_rope, Optional<Tensor> key_rope,
              V4_SCALES(), Optional<Tensor> sink, OptionalInts prefix, OptionalInts query_ends,
              OptionalInts key_ends, Unused<Ints>, Unused<Ints>, double scale,
              double keep_probability, Int before, Int after, Int heads, String layout_name,
              Unused<Int>, Int mode, Unused<Int>, Int pse_type, String softmaxOutLayout, Int seed,
              Int offset, Out softmax_max, Out softmax_sum, Unused<Out>, Out out) {
    const StatisticsOrder order = statistics_order("softmaxOutLayout", softmaxOutLayout);
    V4_OPERANDS;
    const StatisticsOutputs statistics{softmax_max, softmax_sum, order};
    if (layout_name == "TND") {
        packed_attention(in, query_ends, key_ends, statistics, out);
    } else {
        dense_attention(layout, in, statistics, out);
    }
}

// softmaxInLayout orders statistics that the gradients compute again.
ACLNN_CHECKED(aclnnFlashAttentionScoreGradV4, Tensor query, Tensor key, Tensor value, Tensor dy,
              Optional<Tensor> bias, Optional<Tensor> drop_mask, REFUSED(Tensor, paddingMask),
              Optional<Tensor> mask, Unused<Tensor>, Unused<Tensor>, Unused<Tensor>, Unused<Tensor>,
              Optional<Tensor> sink, Optional<Tensor> query_rope, Optional<Tensor> key_rope,
              V4_SCALES(, REFUSED(Tensor, dScaleDy), REFUSED(Tensor, dScaleO)), OptionalInts prefix,
              OptionalInts query_ends, OptionalInts key_ends, Unused<Ints>, Unused<Ints>,
              double scale, double keep_probability, Int before, Int after, Int heads,
              String layout_name, Unused<String>, Unused<Int>, Int mode, Int pse_type, Int seed,
              Int offset, Unused<Int>, Out dq, Out dk, Out dv, Optional<Out> dq_rope,
              Optional<Out> dk_rope, Optional<Out> dpse, Optional<Out> dsink) {
    V4_OPERANDS;
    const GradientOutputs gradients{dq, dk, dv, dpse, dsink, dq_rope, dk_rope};
    if (layout_name == "TND") {
        require(!dpse.defined() || dpse.tensor.numel() == 0,
                "dpse is not emulated with layout TND");
        packed_attention_backward(in, query_ends, key_ends, dy, gradients);
    } else {
        dense_attention_backward(layout, in, dy, gradients);
    }
}
