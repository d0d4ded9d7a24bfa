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

void forward(const AttentionInputs& in, const Ends& ends, Out max, Out sum, Out out) {
    TensorList outputs;
    TensorList maxima;
    TensorList sums;
    for_each_sequence(in, ends, [&](const AttentionInputs& one, Int, Int) {
        const AttentionResult result = attention(one);
        outputs.push_back(tokens(result.output));
        maxima.push_back(tokens(result.max));
        sums.push_back(tokens(result.sum));
    });
    out = aten("cat", outputs, 0);
    max.fill(aten("cat", maxima, 0));  // 8 equal columns
    sum.fill(aten("cat", sums, 0));
}

void backward(const AttentionInputs& in, const Ends& ends, const Tensor& dy, Out dq, Out dk,
              Out dv) {
    TensorList queries;
    TensorList keys;
    TensorList values;
    for_each_sequence(in, ends, [&](const AttentionInputs& one, Int begin, Int end) {
        const AttentionGradients grads = attention_gradients(one, sequence(dy, begin, end));
        queries.push_back(tokens(grads.query));
        keys.push_back(tokens(grads.key));
        values.push_back(tokens(grads.value));
    });
    dq = aten("cat", queries, 0);
    dk = aten("cat", keys, 0);
    dv = aten("cat", values, 0);
}

void check_varlen_layout(const std::string& name) {
    require(name == "TND", "inputLayout must be TND, got " + name);
}

}  // namespace

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
#define OPERANDS_OF_VARLEN(PSE_TYPE)                       \
    const AttentionInputs in{query,                        \
                             key,                          \
                             value,                        \
                             bias,                         \
                             drop_mask,                    \
                             mask,                         \
                             Tensor(),                     \
                             prefix.values,                \
                             scale,                        \
                             keep_probability,             \
                             {sparse_mode, before, after}, \
                             PSE_TYPE};                    \
    check_varlen_layout(layout);                           \
    check_emulated(in)

ACLNN_CHECKED(aclnnFlashAttentionVarLenScore, VARLEN_INPUTS, VARLEN_ATTRIBUTES, VARLEN_OUTPUTS) {
    OPERANDS_OF_VARLEN(bias_before_scale);
    forward(in, Ends(query_ends, key_ends, in), softmax_max, softmax_sum, out);
}
ACLNN_CHECKED(aclnnFlashAttentionVarLenScoreV2, VARLEN_INPUTS, Unused<Ints>, Unused<Ints>,
              VARLEN_ATTRIBUTES, Int pse_type, VARLEN_OUTPUTS) {
    OPERANDS_OF_VARLEN(pse_type);
    forward(in, Ends(query_ends, key_ends, in), softmax_max, softmax_sum, out);
}
ACLNN_CHECKED(aclnnFlashAttentionUnpaddingScoreGrad, VARLEN_GRAD_INPUTS, VARLEN_ATTRIBUTES, Out dq,
              Out dk, Out dv, REFUSED(Out, dpseOut)) {
    OPERANDS_OF_VARLEN(bias_before_scale);
    backward(in, Ends(query_ends, key_ends, in), dy, dq, dk, dv);
}
ACLNN_CHECKED(aclnnFlashAttentionUnpaddingScoreGradV2, VARLEN_GRAD_INPUTS, Unused<Ints>,
              Unused<Ints>, VARLEN_ATTRIBUTES, Int pse_type, Out dq, Out dk, Out dv,
              REFUSED(Out, dpseOut)) {
    OPERANDS_OF_VARLEN(pse_type);
    backward(in, Ends(query_ends, key_ends, in), dy, dq, dk, dv);
}
