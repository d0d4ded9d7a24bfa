// What an indexer of sparse attention predicts, and where the tokens of its loss are.
#pragma once

#include "emulator/ops/attention/sparse_flash_attention.h"

namespace ascend_emulator {

/// The operands of an indexer: queries of several heads, and keys of one.
struct IndexerOperands {
    Tensor query;
    Tensor key;
    Tensor weights;  // one per query and head
    OptionalInts query_ends;
    OptionalInts key_ends;
    String layout;

    void check(Int sparse_mode) const;
    /// Where the tokens of each sequence are.
    std::vector<SparseFlashAttention::Sequence> sequences() const;
};

/// One element of a tensor of one dimension.
inline Tensor element_at(const Tensor& x, Int index) {
    return aten("slice.Tensor", x, Int{0}, index, index + 1);
}

/// The scores of some keys for one query.
struct IndexerScores {
    Tensor keys;      // [keys, 128]
    Tensor products;  // [heads, keys]
    Tensor values;    // [keys]
};

/// The operands in fp32.
struct WideIndexer {
    explicit WideIndexer(const IndexerOperands& operands)
        : query(flat_tokens(operands.query)),
          key(operands.key.to_float().reshape({-1, operands.key.size(-1)})),
          weights(operands.weights.to_float().reshape({-1, operands.query.size(-2), 1})) {}

    IndexerScores scores(Int token, const Tensor& rows) const;

    Tensor query;    // [tokens, heads, 128]
    Tensor key;      // [tokens, 128]
    Tensor weights;  // [tokens, heads, 1]
};

/// The gradients of an indexer's operands in fp32, to which each query adds.
struct IndexerGradients {
    explicit IndexerGradients(const WideIndexer& operands)
        : indexer(operands),
          query(full(operands.query.sizes(), Scalar{0.0}, DType::float32)),
          key(full(operands.key.sizes(), Scalar{0.0}, DType::float32)),
          weights(full(operands.weights.sizes(), Scalar{0.0}, DType::float32)) {}

    /// Add those of a query whose scores of the keys at `rows` have the gradient `change`.
    void add(Int token, const Tensor& rows, const IndexerScores& scores,
             const Tensor& change) const;
    void store(const Out& d_query, const Out& d_key, const Out& d_weights) const;

    const WideIndexer& indexer;
    Tensor query;
    Tensor key;
    Tensor weights;
};

}  // namespace ascend_emulator
