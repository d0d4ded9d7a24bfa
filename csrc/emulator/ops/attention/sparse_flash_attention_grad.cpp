// The gradient of attention to chosen keys, in fp32.
#include "emulator/ops/attention/sparse_flash_attention.h"

using namespace ascend_emulator;

namespace {

/// A part of the last dimension.
Tensor last_part(const Tensor& x, Int begin, Int end) {
    return aten("slice.Tensor", x, -1, begin, end);
}

struct SparseGradients {
    Tensor query;  // with the rotated parts at the end, [tokens, heads, D]
    Tensor key;
    Tensor value;
};

/// One token's gradients for one key head, added to those of the other tokens.
struct SparseBackward {
    const SparseFlashAttention& attention;
    Tensor query;
    Tensor key;
    Tensor value;
    Tensor grad;

    void add(Int token, Int head, const IntList& rows, const SparseGradients& sums) const {
        const Int group = query.size(1) / key.size(1);
        const Tensor chosen = integer_tensor(rows);
        const auto heads = [&](const Tensor& x) {
            return aten("slice.Tensor", aten("select.int", x, 0, token), 0, head * group,
                        (head + 1) * group);
        };
        const auto picked = [&](const Tensor& x) {
            return aten("index_select", aten("select.int", x, 1, head), 0, chosen);
        };
        const Tensor q = heads(query);
        const Tensor dy = heads(grad);
        const Tensor k = picked(key);
        const Tensor scores = aten("matmul", q, k.transpose(0, 1)) * attention.scale;
        const Tensor weights = aten("softmax.int", scores, Int{-1});
        const Tensor dp = aten("matmul", dy, picked(value).transpose(0, 1));
        const Tensor ds = weights * (dp - (dp * weights).sum({-1}, true)) * attention.scale;
        assign(heads(sums.query), aten("matmul", ds, k));
        const auto add_rows = [&](const Tensor& sum, const Tensor& part) {
            aten("index_add_", aten("select.int", sum, 1, head), 0, chosen, part);
        };
        add_rows(sums.key, aten("matmul", ds.transpose(0, 1), q));
        add_rows(sums.value, aten("matmul", weights.transpose(0, 1), dy));
    }
};

Tensor zeros_like(const Tensor& x) { return full(x.sizes(), Scalar{0.0}, DType::float32); }

SparseGradients sparse_gradients(const SparseFlashAttention& attention, const Tensor& dy) {
    const SparseBackward backward{attention, flat_tokens(attention.query, attention.query_rope),
                                  flat_tokens(attention.key, attention.key_rope),
                                  flat_tokens(attention.value), flat_tokens(dy)};
    const SparseGradients sums{zeros_like(backward.query), zeros_like(backward.key),
                               zeros_like(backward.value)};
    const IntList chosen = integers_of(attention.indices);
    const Int width = attention.indices.size(-1);
    const Int heads = backward.key.size(1);
    const auto all = attention.sequences();
    for (Int b = 0; b < static_cast<Int>(all.size()); ++b) {
        const auto& one = all[as_index(b)];
        for (Int i = 0; i < one.queries * heads; ++i) {
            const Int token = one.begin + i / heads;
            const Int head = i % heads;
            IntList rows = attention.positions(&chosen[as_index((token * heads + head) * width)],
                                               i / heads, one);
            for (Int& position : rows) {
                position = attention.row_of(b, one, position, {});
            }
            if (!rows.empty()) {
                backward.add(token, head, rows, sums);
            }
        }
    }
    return sums;
}

void store_parts(const Tensor& sum, const Tensor& like, const Out& out, const Out& rope) {
    const Int size = like.size(-1);
    out = last_part(sum, 0, size).reshape(out.tensor.sizes());
    if (rope.defined()) {
        rope = last_part(sum, size, sum.size(-1)).reshape(rope.tensor.sizes());
    }
}

}  // namespace

// The gradient computes the results of the forward pass again. The order of additions is always the
// same.
ACLNN_CHECKED(aclnnSparseFlashAttentionGrad, Tensor query, Tensor key, Tensor value,
              Tensor sparseIndices, Tensor gradOut, Unused<Tensor>, Unused<Tensor>, Unused<Tensor>,
              Optional<Tensor> actualSeqLengthsQuery, Optional<Tensor> actualSeqLengthsKv,
              Optional<Tensor> queryRope, Optional<Tensor> keyRope, double scaleValue,
              Int sparseBlockSize, String layout, Int sparseMode,
              REFUSED_UNLESS(INT64_MAX, Int, preTokens), REFUSED_UNLESS(INT64_MAX, Int, nextTokens),
              Unused<bool>, Out dQuery, Out dKey, Out dValue, Optional<Out> dQueryRope,
              Optional<Out> dKeyRope) {
    const SparseFlashAttention attention = {query,
                                            key,
                                            value,
                                            sparseIndices,
                                            Tensor(),
                                            actualSeqLengthsQuery,
                                            actualSeqLengthsKv,
                                            queryRope,
                                            keyRope,
                                            scaleValue,
                                            sparseBlockSize,
                                            layout,
                                            layout,
                                            sparseMode};
    attention.check(2, false);
    const SparseGradients found = sparse_gradients(attention, gradOut);
    store_parts(found.query, query, dQuery, dQueryRope);
    store_parts(found.key, key, dKey, dKeyRope);
    dValue = found.value.reshape(dValue.tensor.sizes());
}
