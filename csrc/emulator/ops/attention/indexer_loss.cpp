// The loss of an indexer of sparse attention, which learns the distribution of an attention over
// the keys, and its gradients, in fp32.
#include "emulator/ops/attention/indexer_loss.h"

using namespace ascend_emulator;

namespace {

/// The attention that the indexer learns from.
struct IndexerTarget {
    Tensor query;
    Tensor key;
    Tensor query_rope;
    Tensor key_rope;
    Tensor max;  // of the softmax of each head: [B, N2, S1, G] or [N2, T1, G]
    Tensor sum;
    double scale;

    void check(const IndexerOperands& indexer, Int head_dim, bool one_key_head) const {
        const Int dim = indexer.query.dim();
        const DType dtype = indexer.query.dtype();
        require(query.dim() == dim && key.dim() == dim,
                "query and key must have the dimensions "
                "of layout " +
                    indexer.layout);
        require(query.dtype() == dtype && key.dtype() == dtype,
                std::string("query and key must have the dtype of queryIndex, ") + name_of(dtype));
        const Int heads = query.size(-2);
        require(heads == 32 || heads == 64 || heads == 128,
                "query must have 32, 64 or 128 heads, got " + std::to_string(heads));
        const Int key_heads = one_key_head ? 1 : heads;
        require(key.size(-2) == key_heads, "key must have " + std::to_string(key_heads) +
                                               " heads, got " + std::to_string(key.size(-2)));
        require(query.size(-1) == head_dim && key.size(-1) == head_dim,
                "the head_dim of query and key must be " + std::to_string(head_dim) + ", got " +
                    std::to_string(query.size(-1)) + " and " + std::to_string(key.size(-1)));
        const Int tokens = indexer.query.numel() / indexer.query.size(-2) / 128;
        require(query.numel() == tokens * heads * head_dim &&
                    key.numel() == indexer.key.numel() / 128 * key_heads * head_dim,
                "query and key must have the tokens of queryIndex and keyIndex");
        check_rope(dtype, head_dim);
        for (const Tensor& x : {max, sum}) {
            require(x.dtype() == DType::float32 && x.numel() == tokens * heads && x.dim() == dim &&
                        x.size(-3) == key_heads,
                    "softmaxMax and softmaxSum must have one float32 element per token and head");
        }
    }
    void check_rope(DType dtype, Int head_dim) const {
        require(query_rope.defined() == key_rope.defined(),
                "queryRope and keyRope must be given together");
        if (!query_rope.defined()) {
            return;
        }
        require(query_rope.dtype() == dtype && key_rope.dtype() == dtype &&
                    query_rope.size(-1) == 64 && key_rope.size(-1) == 64 &&
                    query_rope.numel() == query.numel() / head_dim * 64 &&
                    key_rope.numel() == key.numel() / head_dim * 64,
                "queryRope and keyRope must have the dtype, tokens and heads of query and key, and "
                "64 elements per head");
    }
};

/// The target in fp32.
struct WideTarget {
    explicit WideTarget(const IndexerTarget& target)
        : query(flat_tokens(target.query, target.query_rope)),
          key(flat_tokens(target.key, target.key_rope)),
          max(by_token(target.max, query.size(1))),
          sum(by_token(target.sum, query.size(1))),
          scale(target.scale) {}

    /// What a query gives each of some keys, on average over the heads.
    Tensor probabilities(Int token, const Tensor& rows) const {
        const auto of = [&](const Tensor& x) { return aten("select.int", x, 0, token); };
        const Tensor keys = aten("index_select", key, 0, rows).permute({1, 2, 0});
        const Tensor products = aten("matmul", aten("unsqueeze", of(query), 1), keys);
        const Tensor scores = aten("squeeze.dim", products, Int{1}) * scale;
        return (aten("exp", scores - of(max)) / of(sum)).sum({0}) /
               static_cast<double>(query.size(1));
    }

    Tensor query;  // [tokens, heads, D]
    Tensor key;    // [tokens, heads or 1, D]
    Tensor max;    // [tokens, heads, 1]
    Tensor sum;
    double scale;

  private:
    static Tensor by_token(const Tensor& x, Int heads) {
        const Tensor moved = x.dim() == 4 ? x.permute({0, 2, 1, 3}) : x.permute({1, 0, 2});
        return moved.to_float().reshape({-1, heads, 1});
    }
};

struct IndexerLoss {
    const WideIndexer& indexer;
    const WideTarget& target;
    Tensor losses = full({indexer.query.size(0)}, Scalar{0.0}, DType::float32);
    IndexerGradients gradients{indexer};

    /// Add what one query and the keys that it sees give. `predict` turns scores into
    /// probabilities.
    template <typename Predict>
    void add(Int token, const IntList& visible, const Predict& predict) const {
        const Tensor rows = integer_tensor(visible);
        const auto logarithm = [](const Tensor& x) {
            return aten("log", aten("clamp_min", x, Scalar{1e-8}));
        };
        const IndexerScores scores = indexer.scores(token, rows);
        const Tensor wanted = target.probabilities(token, rows);
        const Tensor predicted = predict(scores.values);
        assign(element_at(losses, token),
               (wanted * (logarithm(wanted) - logarithm(predicted))).sum({0}, true));
        gradients.add(token, rows, scores, predicted - wanted);
    }
    void store(const Out& query, const Out& key, const Out& weights, const Out& loss) const {
        gradients.store(query, key, weights);
        loss = losses.sum({0}, true);
    }
};

}  // namespace

// The loss of each query is a sum over the keys that it sees. Sparse mode 3 has no window, so
// preTokens and nextTokens do not matter.
ACLNN_CHECKED(aclnnDenseLightningIndexerGradKLLoss, Tensor query, Tensor key, Tensor queryIndex,
              Tensor keyIndex, Tensor weights, Tensor softmaxMax, Tensor softmaxSum,
              Tensor softmaxMaxIndex, Tensor softmaxSumIndex, Optional<Tensor> queryRope,
              Optional<Tensor> keyRope, OptionalInts actualSeqLengthsQuery,
              OptionalInts actualSeqLengthsKey, double scaleValue, String layout, Int sparseMode,
              Unused<Int>, Unused<Int>, Out dQueryIndex, Out dKeyIndex, Out dWeights, Out loss) {
    require_ascend910b_910_93_or_950();
    const IndexerOperands operands = {queryIndex,          keyIndex, weights, actualSeqLengthsQuery,
                                      actualSeqLengthsKey, layout};
    operands.check(sparseMode);
    const IndexerTarget attention = {query,      key,        queryRope, keyRope,
                                     softmaxMax, softmaxSum, scaleValue};
    attention.check(operands, 128, false);
    const Int tokens = weights.numel() / queryIndex.size(-2);
    require(softmaxMaxIndex.numel() == tokens && softmaxSumIndex.numel() == tokens,
            "softmaxMaxIndex and softmaxSumIndex must have one element per token, " +
                std::to_string(tokens));
    const WideIndexer indexer(operands);
    const WideTarget target(attention);
    const Tensor largest = softmaxMaxIndex.to_float().reshape({-1});
    const Tensor sums = softmaxSumIndex.to_float().reshape({-1});
    const IndexerLoss sum{indexer, target};
    for (const auto& one : operands.sequences()) {
        for (Int i = std::max(Int{0}, one.queries - one.keys); i < one.queries; ++i) {
            const Int token = one.begin + i;
            const Int visible = one.keys - one.queries + i + 1;
            const IntList rows = consecutive(one.key_begin, one.key_begin + visible);
            sum.add(token, rows, [&](const Tensor& scores) {
                return aten("exp", scores - element_at(largest, token)) / element_at(sums, token);
            });
        }
    }
    sum.store(dQueryIndex, dKeyIndex, dWeights, loss);
}

namespace {

void check_chosen_keys(const Tensor& indices, const IndexerOperands& indexer) {
    require(indices.dtype() == DType::int32,
            std::string("sparseIndices must be int32, got ") + name_of(indices.dtype()));
    const Int width = indices.size(-1);
    require(width > 0 && width % 1024 == 0 && width <= 8192,
            "sparseIndices must have a multiple of 1024 keys per token, at most 8192, got " +
                std::to_string(width));
    require(indices.numel() == indexer.weights.numel() / indexer.query.size(-2) * width,
            "sparseIndices must have one row per token");
    require(!is_ascend950() || indexer.query.size(-2) >= 32,
            "queryIndex must have 32 or 64 heads, got " + std::to_string(indexer.query.size(-2)));
}

}  // namespace

// The same with the keys that the indexer chose, over which both distributions are. The order of
// additions is always the same.
ACLNN_CHECKED(aclnnSparseLightningIndexerGradKLLoss, Tensor query, Tensor key, Tensor queryIndex,
              Tensor keyIndex, Tensor weights, Tensor sparseIndices, Tensor softmaxMax,
              Tensor softmaxSum, Optional<Tensor> queryRope, Optional<Tensor> keyRope,
              OptionalInts actualSeqLengthsQuery, OptionalInts actualSeqLengthsKey,
              double scaleValue, String layout, Int sparseMode, Unused<Int>, Unused<Int>,
              Unused<bool>, Out dQueryIndex, Out dKeyIndex, Out dWeights, Out loss) {
    require_ascend910b_910_93_or_950();
    const IndexerOperands operands = {queryIndex,          keyIndex, weights, actualSeqLengthsQuery,
                                      actualSeqLengthsKey, layout};
    operands.check(sparseMode);
    check_chosen_keys(sparseIndices, operands);
    const IndexerTarget attention = {query,      key,        queryRope, keyRope,
                                     softmaxMax, softmaxSum, scaleValue};
    attention.check(operands, 512, true);
    const WideIndexer indexer(operands);
    const WideTarget target(attention);
    SparseFlashAttention selection{};
    selection.indices = sparseIndices;
    selection.block = 1;
    selection.sparse_mode = sparseMode;
    const IntList chosen = integers_of(sparseIndices);
    const IndexerLoss sum{indexer, target};
    for (const auto& one : operands.sequences()) {
        for (Int i = 0; i < one.queries; ++i) {
            const Int token = one.begin + i;
            const Int* first = &chosen[as_index(token * sparseIndices.size(-1))];
            IntList rows = selection.positions(first, i, one);
            for (Int& row : rows) {
                row += one.key_begin;
            }
            if (!rows.empty()) {
                sum.add(token, rows,
                        [](const Tensor& scores) { return aten("softmax.int", scores, Int{-1}); });
            }
        }
    }
    sum.store(dQueryIndex, dKeyIndex, dWeights, loss);
}
