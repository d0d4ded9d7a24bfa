// The gradient of the scores that the indexer of sparse attention gave the keys it chose, in fp32.
#include "emulator/ops/attention/sparse_flash_attention.h"

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
        const Tensor query = flat_tokens(layout.query);
        const Tensor key = layout.key.to_float().reshape({-1, 128});
        const Tensor weight = weights.to_float().reshape({-1, 64, 1});
        const Tensor grad = dy.to_float().reshape({-1, width()});
        const Tensor sum_query = full(query.sizes(), Scalar{0.0}, DType::float32);
        const Tensor sum_key = full(key.sizes(), Scalar{0.0}, DType::float32);
        const Tensor sum_weight = full(weight.sizes(), Scalar{0.0}, DType::float32);
        const IntList chosen = integers_of(layout.indices);
        for (const auto& one : layout.sequences()) {
            for (Int i = 0; i < one.queries; ++i) {
                const Int token = one.begin + i;
                const IntList rows = keys_of(&chosen[as_index(token * width())], i, one);
                if (rows.empty()) {
                    continue;
                }
                const auto of = [&](const Tensor& x) { return aten("select.int", x, 0, token); };
                const Tensor places = integer_tensor(rows);
                const Tensor keys = aten("index_select", key, 0, places);
                const Tensor products = aten("matmul", of(query), keys.transpose(0, 1));
                const Tensor own = of(grad).narrow(0, static_cast<Int>(rows.size()));
                const Tensor inner =
                    of(weight) * own * aten("gt.Scalar", products, Scalar{0.0}).to_float();
                assign(of(sum_query), aten("matmul", inner, keys));
                aten("index_add_", sum_key, 0, places,
                     aten("matmul", inner.transpose(0, 1), of(query)));
                assign(of(sum_weight), (aten("relu", products) * own).sum({1}, true));
            }
        }
        d_query = sum_query.reshape(d_query.tensor.sizes());
        d_key = sum_key.reshape(d_key.tensor.sizes());
        d_weights = sum_weight.reshape(d_weights.tensor.sizes());
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
