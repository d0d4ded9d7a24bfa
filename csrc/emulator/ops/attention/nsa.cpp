// Native sparse attention: compression, attention over compressed keys, over selected blocks.
#include "emulator/ops/attention/nsa.h"
#include "emulator/aclnn/operation.h"
#include "emulator/ops/attention/flash_attention.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/slices.h"

using namespace ascend_emulator;

namespace {

const IntList& ends_of(const OptionalInts& ends, Int tokens, const char* name) {
    if (!ends.values || ends.values->empty() || ends.values->back() != tokens) {
        refuse(std::string(name) + " must end at the number of tokens, " + std::to_string(tokens));
    }
    return *ends.values;
}

void check_tnd(const String& layout) {
    require(layout == "TND", "inputLayout must be TND, got " + layout);
}

/// Where the tokens of one sequence begin and end.
struct Sequence {
    Int query;
    Int query_end;
    Int key;
    Int key_end;
};

std::vector<Sequence> sequences(const IntList& query_ends, const IntList& key_ends) {
    require(query_ends.size() == key_ends.size(),
            "the lengths of keys must be as many as those of queries, " +
                std::to_string(query_ends.size()) + ", got " + std::to_string(key_ends.size()));
    std::vector<Sequence> found;
    Int query = 0;
    Int key = 0;
    for (std::size_t i = 0; i < query_ends.size(); ++i) {
        found.push_back({query, query_ends[i], key, key_ends[i]});
        query = query_ends[i];
        key = key_ends[i];
    }
    return found;
}

AttentionInputs of_sequence(const Tensor& query, const Tensor& key, const Tensor& value,
                            const Sequence& s, const Tensor& mask, double scale) {
    AttentionInputs in;
    in.query = sequence(query, s.query, s.query_end);
    in.key = sequence(key, s.key, s.key_end);
    in.value = sequence(value, s.key, s.key_end);
    in.mask = mask;
    in.window.mode = mask.defined() ? 1 : 0;
    in.scale = scale;
    return in;
}

/// 1 for a key outside all blocks of its query: [1, query heads, queries, keys].
Tensor outside_blocks(const Tensor& indices, const Sequence& s, Int block, Int heads) {
    const Int keys = s.key_end - s.key;
    const Tensor chosen = rows(indices, s.query, s.query_end).to(DType::int64);
    const Tensor of_key =
        aten("div.Tensor_mode", arange(keys), full({1}, Scalar{block}, DType::int64), "floor");
    const Tensor same = aten("eq.Tensor", aten("unsqueeze", chosen, -1), of_key);
    const Tensor seen = aten("any.dim", same, Int{2}).permute({1, 0, 2});
    const Int group = heads / indices.size(1);
    return aten("logical_not",
                aten("unsqueeze", aten("repeat_interleave.self_int", seen, group, 0), 0));
}

void check_selection(const Tensor& query, const Tensor& value, Int block, Int count) {
    require(query.size(2) == 192 && value.size(2) == 128,
            "the head_dims of query and value must be 192 and 128, got " +
                std::to_string(query.size(2)) + " and " + std::to_string(value.size(2)));
    require(block == 64 && count == 16,
            "selectBlockSize and selectBlockCount must be 64 and 16, got " + std::to_string(block) +
                " and " + std::to_string(count));
}

/// The probabilities of the compressed keys, [1, query heads, queries, keys].
Tensor probabilities(const AttentionInputs& in, const AttentionResult& result) {
    const Int group = in.query.size(1) / in.key.size(1);
    const Tensor keys = aten("repeat_interleave.self_int", in.key.to_float(), group, 1);
    const Tensor scores = aten("matmul", in.query.to_float(), keys.transpose(2, 3)) * in.scale;
    const Tensor p = aten("exp", scores - result.max) / result.sum;
    return in.mask.defined() ? aten("masked_fill.Scalar", p, in.mask.to(DType::boolean), 0.0) : p;
}

/// How much each block of keys matters to a query, [queries, key heads, blocks].
Tensor importance(const AttentionInputs& in, const AttentionResult& result,
                  const NsaBlocks& blocks) {
    const Tensor p = probabilities(in, result);
    const Int key_heads = in.key.size(1);
    const Int group = p.size(1) / key_heads;
    return block_importance(p, blocks)
        .reshape({key_heads, group, p.size(2), blocks.count})
        .sum({1})
        .permute({1, 0, 2});
}

}  // namespace

namespace ascend_emulator {

Tensor block_importance(const Tensor& p, const NsaBlocks& blocks) {
    TensorList columns;
    for (Int j = 1; j <= blocks.count; ++j) {
        Tensor column = aten("select.int", p, -1, Int{0}) * 0.0;
        for (Int m = 0; m < blocks.per_block; ++m) {
            for (Int n = 0; n < blocks.per_key; ++n) {
                const Int index = blocks.per_block * j - m - n;
                if (index >= 0 && index < p.size(-1)) {
                    column = column + aten("select.int", p, -1, index);
                }
            }
        }
        columns.push_back(column);
    }
    return aten("stack", columns, Int{-1});
}

}  // namespace ascend_emulator

ACLNN_CHECKED(aclnnNsaCompress, Tensor x, Tensor weight, OptionalInts ends, String layout,
              Int block, Int stride, REFUSED(Int, actSeqLenType), Out out) {
    check_tnd(layout);
    require(block % 16 == 0 && stride % 16 == 0 && block >= stride,
            "compressBlockSize and compressStride must be multiples of 16, the stride at most the "
            "block, got " +
                std::to_string(block) + " and " + std::to_string(stride));
    require(weight.size(0) == block, "weight must have one row per token of a block, " +
                                         std::to_string(block) + ", got " +
                                         std::to_string(weight.size(0)));
    const Tensor wide = x.to_float();
    const Tensor factor = aten("unsqueeze", weight.to_float(), -1);
    TensorList windows;
    Int begin = 0;
    for (const Int end : ends_of(ends, x.size(0), "actSeqLen")) {
        for (Int first = begin; first + block <= end; first += stride) {
            windows.push_back((rows(wide, first, first + block) * factor).sum({0}));
        }
        begin = end;
    }
    if (!windows.empty()) {
        out = aten("stack", windows, 0);
    }
}

ACLNN_CHECKED(aclnnNsaCompressGrad, Tensor outputGrad, Tensor x, Tensor weight, OptionalInts ends,
              Int block, Int stride, REFUSED(Int, actSeqLenType), String layout, Out gradX,
              Out gradWeight) {
    check_tnd(layout);
    const Tensor wide = x.to_float();
    const Tensor factor = aten("unsqueeze", weight.to_float(), -1);
    const Tensor grads = outputGrad.to_float();
    const Tensor sum_x = full(x.sizes(), Scalar{0.0}, DType::float32);
    Tensor sum_weight = full(weight.sizes(), Scalar{0.0}, DType::float32);
    Int begin = 0;
    Int window = 0;
    for (const Int end : ends_of(ends, x.size(0), "actSeqLen")) {
        for (Int first = begin; first + block <= end; first += stride, ++window) {
            const Tensor grad = rows(grads, window, window + 1);
            const Tensor part = rows(sum_x, first, first + block);
            assign(part, part + factor * grad);
            sum_weight = sum_weight + (rows(wide, first, first + block) * grad).sum({2});
        }
        begin = end;
    }
    gradX = sum_x;
    gradWeight = sum_weight;
}

// What is unused in the functions below cannot change the result: headNum is in the shapes, the
// sparseMode of selected attention is a mode of attenMask, which must be null, and the gradient
// computes the results of the forward pass again.
ACLNN_CHECKED(aclnnNsaCompressAttention, Tensor query, Tensor key, Tensor value,
              Optional<Tensor> mask, Optional<Tensor> topk_mask, OptionalInts query_ends,
              OptionalInts key_ends, OptionalInts block_ends, double scale, Unused<Int>,
              String layout, Int sparse_mode, Int compress_block, Int compress_stride,
              Int select_block, Int select_count, Out softmax_max, Out softmax_sum, Out out,
              Out topk_indices) {
    check_tnd(layout);
    require(
        compress_block == 32 && compress_stride == 16 && select_block == 64 && select_count == 16,
        "compressBlockSize, compressStride, selectBlockSize and selectBlockCount must be 32, "
        "16, 64 and 16");
    if (sparse_mode != 1 || topk_mask.defined()) {
        not_emulated("sparseMode " + std::to_string(sparse_mode) + " or a topkMask");
    }
    TensorList outputs;
    TensorList maxima;
    TensorList sums;
    TensorList indices;
    std::size_t index = 0;
    const IntList ends_of_blocks = block_ends.values.value_or(IntList{});
    Int block_begin = 0;
    for (const Sequence& s : sequences(ends_of(query_ends, query.size(0), "actualSeqQLen"),
                                       ends_of(key_ends, key.size(0), "actualCmpSeqKvLen"))) {
        Tensor own;
        if (mask.defined()) {
            own =
                aten("slice.Tensor", rows(mask, 0, s.query_end - s.query), 1, 0, s.key_end - s.key);
        }
        const AttentionInputs in = of_sequence(query, key, value, s, own, scale);
        const AttentionResult result = attention(in);
        const Int block_end = ends_of_blocks.at(index++);
        const Tensor scores = importance(in, result, {4, 2, block_end - block_begin});
        block_begin = block_end;
        outputs.push_back(tokens(result.output));
        maxima.push_back(tokens(result.max));
        sums.push_back(tokens(result.sum));
        indices.push_back(aten_all("topk", scores, select_count)[1]);
    }
    out = aten("cat", outputs, 0);
    softmax_max.fill(aten("cat", maxima, 0));
    softmax_sum.fill(aten("cat", sums, 0));
    topk_indices = aten("cat", indices, 0);
}

ACLNN_CHECKED(aclnnNsaSelectedAttention, Tensor query, Tensor key, Tensor value, Tensor indices,
              Optional<Tensor> mask, OptionalInts query_ends, OptionalInts key_ends, double scale,
              Int heads, String layout, Unused<Int>, Int block, Int count, Out softmax_max,
              Out softmax_sum, Out out) {
    check_tnd(layout);
    check_selection(query, value, block, count);
    require(!mask.defined(), "attenMask must be null");
    TensorList outputs;
    TensorList maxima;
    TensorList sums;
    for (const Sequence& s : sequences(ends_of(query_ends, query.size(0), "actualSeqQLen"),
                                       ends_of(key_ends, key.size(0), "actualSeqKvLen"))) {
        const Tensor outside = outside_blocks(indices, s, block, heads);
        const AttentionResult result = attention(of_sequence(query, key, value, s, outside, scale));
        outputs.push_back(tokens(result.output));
        maxima.push_back(tokens(result.max));
        sums.push_back(tokens(result.sum));
    }
    out = aten("cat", outputs, 0);
    softmax_max.fill(aten("cat", maxima, 0));
    softmax_sum.fill(aten("cat", sums, 0));
}

ACLNN_CHECKED(aclnnNsaSelectedAttentionGrad, Tensor query, Tensor key, Tensor value, Unused<Tensor>,
              Tensor grad, Unused<Tensor>, Unused<Tensor>, Tensor indices, OptionalInts query_ends,
              OptionalInts key_ends, REFUSED(Tensor, attenMask), double scale, Int block, Int count,
              Int heads, String layout, Unused<Int>, Out dq, Out dk, Out dv) {
    check_tnd(layout);
    check_selection(query, value, block, count);
    TensorList queries;
    TensorList keys;
    TensorList values;
    for (const Sequence& s : sequences(ends_of(query_ends, query.size(0), "actualSeqQLen"),
                                       ends_of(key_ends, key.size(0), "actualSeqKvLen"))) {
        const Tensor outside = outside_blocks(indices, s, block, heads);
        const AttentionGradients grads =
            attention_gradients(of_sequence(query, key, value, s, outside, scale),
                                sequence(grad, s.query, s.query_end));
        queries.push_back(tokens(grads.query));
        keys.push_back(tokens(grads.key));
        values.push_back(tokens(grads.value));
    }
    dq = aten("cat", queries, 0);
    dk = aten("cat", keys, 0);
    dv = aten("cat", values, 0);
}
