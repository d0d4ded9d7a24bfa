// Flash attention over sequences of any lengths, which lie one after the other: layout TND.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/attention/flash_attention.h"
#include "emulator/ops/attention/packed_mask.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace {

/// Where each sequence ends, as cumulative lengths.
struct Ends {
    IntList query;
    IntList key;

    Ends(const OptionalInts& of_query, const OptionalInts& of_key, const AttentionInputs& in) {
        if (!of_query.values || !of_key.values ||
            of_query.values->size() != of_key.values->size()) {
            refuse("actualSeqQLen and actualSeqKvLen must be given, with one length per sequence");
        }
        query = *of_query.values;
        key = *of_key.values;
        check(query, in.query.size(0), "actualSeqQLen");
        check(key, in.key.size(0), "actualSeqKvLen");
    }

    static void check(const IntList& ends, Int tokens, const std::string& name) {
        Int before = 0;
        for (const Int end : ends) {
            if (end < before) {
                refuse(name + " must not decrease, as its lengths are cumulative, got " +
                       std::to_string(end) + " after " + std::to_string(before));
            }
            before = end;
        }
        if (before != tokens) {
            refuse(name + " must end at the number of tokens, " + std::to_string(tokens) +
                   ", got " + std::to_string(before));
        }
    }
};

/// Call `function` with the inputs of each sequence in turn, and where it begins and ends.
template <class Function>
void for_each_sequence(const AttentionInputs& in, const Ends& ends, Function function) {
    Int query = 0;
    Int key = 0;
    Int dropped = 0;
    for (std::size_t i = 0; i < ends.query.size(); ++i) {
        const Int query_end = ends.query[i];
        const Int key_end = ends.key[i];
        AttentionInputs one = in;
        one.query = sequence(in.query, query, query_end);
        one.key = sequence(in.key, key, key_end);
        one.value = sequence(in.value, key, key_end);
        if (given(in.query_rope).defined()) {
            one.query_rope = sequence(in.query_rope, query, query_end);
            one.key_rope = sequence(in.key_rope, key, key_end);
        }
        const Int scores = in.query.size(1) * (query_end - query) * (key_end - key);
        if (in.drop_mask.defined() && in.drop_mask.numel() != 0 && in.keep_probability < 1) {
            // The bits of all sequences lie one after the other, without a gap.
            const Tensor keep = unpack_mask(in.drop_mask, {dropped + scores});
            one.drop_mask = pack_mask(aten("slice.Tensor", keep, 0, dropped, dropped + scores),
                                      {(scores + 7) / 8});
        }
        if (in.window.mode == 1 || in.window.mode == 0) {
            if (in.mask.defined() && in.mask.numel() != 0) {
                one.mask =
                    aten("slice.Tensor", aten("slice.Tensor", in.mask, -2, 0, query_end - query),
                         -1, 0, key_end - key);
            }
        }
        function(one, query, query_end);
        query = query_end;
        key = key_end;
        dropped += scores;
    }
}

/// The statistics of one sequence, [1, heads, queries, 1], as a list of 8 equal columns.
Tensor stored_statistics(const Tensor& x, StatisticsOrder order) {
    const Tensor ordered = order == StatisticsOrder::tokens ? x.permute({0, 2, 1, 3}) : x;
    IntList sizes = ordered.sizes();
    sizes.back() = 8;
    return ordered.expand(sizes).reshape({-1});
}

void store_statistics(const Out& out, const TensorList& parts) {
    if (out.defined()) {
        out = aten("cat", parts, 0).reshape(out.tensor.sizes());
    }
}

void check_varlen_layout(const std::string& name) {
    require(name == "TND", "inputLayout must be TND, got " + name);
}

void assign_joined(const Out& out, const TensorList& parts) {
    if (out.defined() && !parts.empty()) {
        out = aten("cat", parts, 0);
    }
}

}  // namespace

namespace ascend_emulator {

StatisticsOrder statistics_order(const char* argument, const String& layout) {
    require(layout.empty() || layout == "same_as_input",
            std::string(argument) + " must be empty or same_as_input, got " + layout);
    return layout.empty() ? StatisticsOrder::heads : StatisticsOrder::tokens;
}

void packed_attention(const AttentionInputs& inputs, const OptionalInts& query_ends,
                      const OptionalInts& key_ends, const StatisticsOutputs& statistics,
                      const Out& out) {
    check_emulated(inputs);
    const Ends ends(query_ends, key_ends, inputs);
    TensorList outputs;
    TensorList maxima;
    TensorList sums;
    for_each_sequence(inputs, ends, [&](const AttentionInputs& one, Int, Int) {
        const AttentionResult result = attention(one);
        outputs.push_back(tokens(result.output));
        maxima.push_back(stored_statistics(result.max, statistics.order));
        sums.push_back(stored_statistics(result.sum, statistics.order));
    });
    out = aten("cat", outputs, 0);
    store_statistics(statistics.max, maxima);
    store_statistics(statistics.sum, sums);
}

void packed_attention_backward(const AttentionInputs& inputs, const OptionalInts& query_ends,
                               const OptionalInts& key_ends, const Tensor& dy,
                               const GradientOutputs& gradients) {
    check_emulated(inputs);
    const Ends ends(query_ends, key_ends, inputs);
    TensorList queries;
    TensorList keys;
    TensorList values;
    TensorList query_ropes;
    TensorList key_ropes;
    Tensor sink;
    for_each_sequence(inputs, ends, [&](const AttentionInputs& one, Int begin, Int end) {
        const AttentionGradients found = attention_gradients(one, sequence(dy, begin, end));
        queries.push_back(tokens(found.query));
        keys.push_back(tokens(found.key));
        values.push_back(tokens(found.value));
        if (found.query_rope.defined()) {
            query_ropes.push_back(tokens(found.query_rope));
            key_ropes.push_back(tokens(found.key_rope));
        }
        sink = sink.defined() ? sink + found.sink : found.sink;
    });
    assign_joined(gradients.query, queries);
    assign_joined(gradients.key, keys);
    assign_joined(gradients.value, values);
    assign_joined(gradients.query_rope, query_ropes);
    assign_joined(gradients.key_rope, key_ropes);
    gradients.sink = sink;
}

}  // namespace ascend_emulator

// What is unused cannot change the result: headNum is in the shapes, and for the others see
// flash_attention.cpp.
#define VARLEN_INPUTS                                                                          \
    Tensor query, Tensor key, Tensor value, Optional<Tensor> bias, Optional<Tensor> drop_mask, \
        REFUSED(Tensor, paddingMask), Optional<Tensor> mask, OptionalInts prefix,              \
        OptionalInts query_ends, OptionalInts key_ends
#define VARLEN_GRAD_INPUTS                                                                   \
    Tensor query, Tensor key, Tensor value, Tensor dy, Optional<Tensor> bias,                \
        Optional<Tensor> drop_mask, REFUSED(Tensor, paddingMask), Optional<Tensor> mask,     \
        Unused<Tensor>, Unused<Tensor>, Unused<Tensor>, Unused<Tensor>, OptionalInts prefix, \
        OptionalInts query_ends, OptionalInts key_ends
#define VARLEN_ATTRIBUTES                                                                     \
    double scale, double keep_probability, Int before, Int after, Unused<Int>, String layout, \
        Unused<Int>, Int sparse_mode
#define VARLEN_OUTPUTS Out softmax_max, Out softmax_sum, Unused<Out>, Out out
#define OPERANDS_OF_VARLEN(SINK, PSE_TYPE, QUERY_ROPE, KEY_ROPE)                                \
    check_varlen_layout(layout);                                                                \
    const AttentionInputs in {                                                                  \
        query, key, value, bias, drop_mask, mask, SINK, prefix.values, scale, keep_probability, \
            {sparse_mode, before, after}, PSE_TYPE, QUERY_ROPE, KEY_ROPE                        \
    }
#define START_INDICES_OF_VARLEN Unused<Ints>, Unused<Ints>

ACLNN_CHECKED(aclnnFlashAttentionVarLenScore, VARLEN_INPUTS, VARLEN_ATTRIBUTES, VARLEN_OUTPUTS) {
    OPERANDS_OF_VARLEN(Tensor(), bias_before_scale, Tensor(), Tensor());
    packed_attention(in, query_ends, key_ends, {softmax_max, softmax_sum}, out);
}
ACLNN_CHECKED(aclnnFlashAttentionVarLenScoreV2, VARLEN_INPUTS, START_INDICES_OF_VARLEN,
              VARLEN_ATTRIBUTES, Int pse_type, VARLEN_OUTPUTS) {
    OPERANDS_OF_VARLEN(Tensor(), pse_type, Tensor(), Tensor());
    packed_attention(in, query_ends, key_ends, {softmax_max, softmax_sum}, out);
}
// V4 came after V3 and has neither its pseType nor its rope.
ACLNN_CHECKED(aclnnFlashAttentionVarLenScoreV4, VARLEN_INPUTS, VARLEN_ATTRIBUTES,
              String softmaxOutLayout, VARLEN_OUTPUTS) {
    OPERANDS_OF_VARLEN(Tensor(), bias_before_scale, Tensor(), Tensor());
    const StatisticsOrder order = statistics_order("softmaxOutLayout", softmaxOutLayout);
    packed_attention(in, query_ends, key_ends, {softmax_max, softmax_sum, order}, out);
}

#define VARLEN_ROPE_INPUTS(...)                                                               \
    Tensor query, Optional<Tensor> query_rope, Tensor key, Optional<Tensor> key_rope,         \
        Tensor value, Optional<Tensor> bias, Optional<Tensor> drop_mask,                      \
        REFUSED(Tensor, paddingMask), Optional<Tensor> mask, __VA_ARGS__ OptionalInts prefix, \
        OptionalInts query_ends, OptionalInts key_ends, START_INDICES_OF_VARLEN
#define VARLEN_SINK Optional<Tensor> sink,

ACLNN_CHECKED(aclnnFlashAttentionVarLenScoreV3, VARLEN_ROPE_INPUTS(), VARLEN_ATTRIBUTES,
              Int pse_type, VARLEN_OUTPUTS) {
    OPERANDS_OF_VARLEN(Tensor(), pse_type, query_rope, key_rope);
    packed_attention(in, query_ends, key_ends, {softmax_max, softmax_sum}, out);
}
ACLNN_CHECKED(aclnnFlashAttentionVarLenScoreV5, VARLEN_ROPE_INPUTS(VARLEN_SINK), VARLEN_ATTRIBUTES,
              Int pse_type, String softmaxOutLayout, VARLEN_OUTPUTS) {
    OPERANDS_OF_VARLEN(sink, pse_type, query_rope, key_rope);
    const StatisticsOrder order = statistics_order("softmaxOutLayout", softmaxOutLayout);
    packed_attention(in, query_ends, key_ends, {softmax_max, softmax_sum, order}, out);
}

ACLNN_CHECKED(aclnnFlashAttentionUnpaddingScoreGrad, VARLEN_GRAD_INPUTS, VARLEN_ATTRIBUTES, Out dq,
              Out dk, Out dv, REFUSED(Out, dpseOut)) {
    OPERANDS_OF_VARLEN(Tensor(), bias_before_scale, Tensor(), Tensor());
    packed_attention_backward(in, query_ends, key_ends, dy, {dq, dk, dv});
}
ACLNN_CHECKED(aclnnFlashAttentionUnpaddingScoreGradV2, VARLEN_GRAD_INPUTS, START_INDICES_OF_VARLEN,
              VARLEN_ATTRIBUTES, Int pse_type, Out dq, Out dk, Out dv, REFUSED(Out, dpseOut)) {
    OPERANDS_OF_VARLEN(Tensor(), pse_type, Tensor(), Tensor());
    packed_attention_backward(in, query_ends, key_ends, dy, {dq, dk, dv});
}
// softmaxInLayout orders statistics that the gradients compute again.
ACLNN_CHECKED(aclnnFlashAttentionUnpaddingScoreGradV4, VARLEN_GRAD_INPUTS, VARLEN_ATTRIBUTES,
              Out dq, Out dk, Out dv, REFUSED(Out, dpseOut), Unused<String>) {
    OPERANDS_OF_VARLEN(Tensor(), bias_before_scale, Tensor(), Tensor());
    packed_attention_backward(in, query_ends, key_ends, dy, {dq, dk, dv});
}

#define VARLEN_ROPE_GRAD_INPUTS(...)                                                              \
    Tensor query, Optional<Tensor> query_rope, Tensor key, Optional<Tensor> key_rope,             \
        Tensor value, Tensor dy, Optional<Tensor> bias, Optional<Tensor> drop_mask,               \
        REFUSED(Tensor, paddingMask), Optional<Tensor> mask, Unused<Tensor>, Unused<Tensor>,      \
        Unused<Tensor>, Unused<Tensor>, __VA_ARGS__ OptionalInts prefix, OptionalInts query_ends, \
        OptionalInts key_ends, START_INDICES_OF_VARLEN
#define VARLEN_ROPE_GRADIENTS \
    Out dq, Optional<Out> dq_rope, Out dk, Optional<Out> dk_rope, Out dv, REFUSED(Out, dpseOut)

ACLNN_CHECKED(aclnnFlashAttentionUnpaddingScoreGradV3, VARLEN_ROPE_GRAD_INPUTS(), VARLEN_ATTRIBUTES,
              Int pse_type, VARLEN_ROPE_GRADIENTS) {
    OPERANDS_OF_VARLEN(Tensor(), pse_type, query_rope, key_rope);
    packed_attention_backward(in, query_ends, key_ends, dy, {dq, dk, dv, {}, {}, dq_rope, dk_rope});
}
ACLNN_CHECKED(aclnnFlashAttentionUnpaddingScoreGradV5, VARLEN_ROPE_GRAD_INPUTS(VARLEN_SINK),
              VARLEN_ATTRIBUTES, Int pse_type, Unused<String>, VARLEN_ROPE_GRADIENTS,
              Optional<Out> dsink) {
    OPERANDS_OF_VARLEN(sink, pse_type, query_rope, key_rope);
    packed_attention_backward(in, query_ends, key_ends, dy,
                              {dq, dk, dv, {}, dsink, dq_rope, dk_rope});
}
