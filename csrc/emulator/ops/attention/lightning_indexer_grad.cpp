// The gradient of the scores that the indexer of sparse attention gave the keys it chose, in fp32.
#include "emulator/ops/attention/indexer_loss.h"

using namespace ascend_emulator;

namespace {

struct IndexerGradient {
    SparseFlashAttention layout;  // indices are those of keys
    Tensor dy;                    // the gradient of the scores, with the shape of the indices
    Tensor weights;               // [tokens, heads]

    Int width() const { return dy.size(-1); }

    void check() const {
        require_ascend910b_or_910_93();
        layout.check(2, false);
        require(layout.query.size(-1) == 128 && layout.query.size(-2) == 64 &&
                    layout.key.size(-1) == 128 && layout.key.size(-2) == 1,
                "query must have 64 heads and key one, of head_dim 128, got " +
                    std::to_string(layout.query.size(-2)) + " and " +
                    std::to_string(layout.key.size(-2)) + " of " +
                    std::to_string(layout.query.size(-1)));
        const Int tokens = layout.query.numel() / (64 * 128);
        require(layout.indices.dtype() == DType::int32,
                std::string("sparseIndices must be int32, got ") + name_of(layout.indices.dtype()));
        require(dy.numel() == tokens * width() && layout.indices.numel() == tokens * width() &&
                    layout.indices.size(-1) == width(),
                "dy and sparseIndices must have one row per token, " + std::to_string(tokens) +
                    ", of one length");
        require(weights.numel() == tokens * 64, "weights must have one element per token and head");
        const bool has_lengths = layout.query_lengths.defined() || layout.key_lengths.defined();
        require(layout.query_layout == "TND" || !has_lengths,
                "actualSeqLengthsQuery and actualSeqLengthsKey must be null with layout BSND");
    }

    /// The keys of a query that took part: in sparse mode 3, as many as it sees.
    IntList keys_of(const Int* chosen, Int i, const SparseFlashAttention::Sequence& one) const {
        const Int visible = layout.sparse_mode == 3 ? one.keys - one.queries + i + 1 : width();
        IntList found;
        for (Int slot = 0; slot < std::min(visible, width()); ++slot) {
            require(chosen[slot] >= -1 && chosen[slot] < one.keys,
                    "sparseIndices must be -1 to " + std::to_string(one.keys - 1) + ", got " +
                        std::to_string(chosen[slot]));
            if (chosen[slot] < 0) {
                break;
            }
            found.push_back(one.key_begin + chosen[slot]);
        }
        return found;
    }

    void run(const Out& d_query, const Out& d_key, const Out& d_weights) const {
        const WideIndexer indexer({layout.query, layout.key, weights, {}, {}, ""});
        const IndexerGradients gradients(indexer);
        const Tensor grad = dy.to_float().reshape({-1, width()});
        const IntList chosen = integers_of(layout.indices);
        for (const auto& one : layout.sequences()) {
            for (Int i = 0; i < one.queries; ++i) {
                const Int token = one.begin + i;
                const IntList rows = keys_of(&chosen[as_index(token * width())], i, one);
                if (rows.empty()) {
                    continue;
                }
                const Tensor places = integer_tensor(rows);
                const Tensor own =
                    aten("select.int", grad, 0, token).narrow(0, static_cast<Int>(rows.size()));
                gradients.add(token, places, indexer.scores(token, places), own);
            }
        }
        gradients.store(d_query, d_key, d_weights);
    }
};

}  // namespace

// Sparse modes 0 and 3 have no window, so preTokens and nextTokens do not matter. headNum is in the
// shapes. The order of additions is always the same.
ACLNN_CHECKED(aclnnLightningIndexerGrad, Tensor query, Tensor key, Tensor dy, Tensor sparseIndices,
              Tensor weights, Optional<Tensor> actualSeqLengthsQuery,
              Optional<Tensor> actualSeqLengthsKey, Unused<Int>, String layout, Int sparseMode,
              Unused<Int>, Unused<Int>, Unused<bool>, Out dQuery, Out dKey, Out dWeights) {
    const IndexerGradient gradient = {
        {query, key, Tensor(), sparseIndices, Tensor(), actualSeqLengthsQuery, actualSeqLengthsKey,
         Tensor(), Tensor(), 1, 1, layout, layout, sparseMode},
        dy,
        weights};
    gradient.check();
    gradient.run(dQuery, dKey, dWeights);
}
