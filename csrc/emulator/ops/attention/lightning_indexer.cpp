// The indexer that chooses the keys of each query for sparse attention, in fp32.
#include <limits>

#include "emulator/ops/attention/sparse_flash_attention.h"

using namespace ascend_emulator;

namespace {

struct LightningIndexer {
    SparseFlashAttention layout;  // where the tokens are; it has no values
    Tensor weights;
    Int count;

    /// The scores of all keys of a sequence for one query token: weighted sums over the heads of
    /// what is positive.
    Tensor scores(Int token, const Tensor& query, const Tensor& weight, const Tensor& keys) const {
        const Tensor products =
            aten("matmul", aten("select.int", query, 0, token), keys.transpose(0, 1));
        const Tensor own = aten("unsqueeze", aten("select.int", weight, 0, token), -1);
        return (aten("relu", products) * own).sum({0});
    }

    /// The keys of one sequence, [keys, D].
    Tensor keys_of(Int b, const SparseFlashAttention::Sequence& one, const Tensor& flat,
                   const IntList& table) const {
        IntList rows(as_index(one.keys));
        for (Int j = 0; j < one.keys; ++j) {
            rows[as_index(j)] = layout.row_of(b, one, j, table);
        }
        return aten("index_select", flat, 0, integer_tensor(rows));
    }

    void run(const Out& indices, const Out& values) const {
        const Tensor query = flat_tokens(layout.query);
        const Tensor weight = weights.to_float().reshape({-1, weights.size(-1)});
        const Tensor keys = layout.key.to_float().reshape({-1, layout.key.size(-1)});
        const IntList table =
            layout.block_table.defined() ? integers_of(layout.block_table) : IntList();
        const Tensor found = full({query.size(0), count}, Scalar{std::int64_t{-1}}, DType::int64);
        const Tensor best = full({query.size(0), count},
                                 Scalar{-std::numeric_limits<double>::infinity()}, DType::float32);
        const auto all = layout.sequences();
        for (Int b = 0; b < static_cast<Int>(all.size()); ++b) {
            const auto& one = all[as_index(b)];
            const Tensor own = keys_of(b, one, keys, table);
            for (Int i = 0; i < one.queries; ++i) {
                const Int end = layout.sparse_mode == 3 ? one.keys - one.queries + i + 1 : one.keys;
                if (end <= 0) {
                    continue;
                }
                const Int token = one.begin + i;
                const Tensor visible = scores(token, query, weight, own).narrow(0, end);
                const Int kept = std::min(end, count);
                const TensorList top = aten_all("topk", visible, kept, Int{-1}, true, true);
                assign(aten("select.int", best, 0, token).narrow(0, kept), top[0]);
                assign(aten("select.int", found, 0, token).narrow(0, kept), top[1]);
            }
        }
        indices = found.reshape(indices.tensor.sizes());
        if (values.defined()) {
            values = best.reshape(values.tensor.sizes());
        }
    }
};

}  // namespace

// Slots without a key hold -1.
ACLNN_CHECKED(aclnnLightningIndexer, Tensor query, Tensor key, Tensor weights,
              Optional<Tensor> actualSeqLengthsQuery, Optional<Tensor> actualSeqLengthsKey,
              Optional<Tensor> blockTable, String layoutQuery, String layoutKey, Int sparseCount,
              Int sparseMode, REFUSED_UNLESS(INT64_MAX, Int, preTokens),
              REFUSED_UNLESS(INT64_MAX, Int, nextTokens), bool returnValues, Out sparseIndices,
              Optional<Out> sparseValues) {
    const LightningIndexer indexer = {
        {query, key, Tensor(), Tensor(), blockTable, actualSeqLengthsQuery, actualSeqLengthsKey,
         Tensor(), Tensor(), 1, 1, layoutQuery, layoutKey, sparseMode},
        weights,
        sparseCount};
    indexer.layout.check(2, false);
    require(key.size(-2) == 1, "key must have one head, got " + std::to_string(key.size(-2)));
    require(sparseCount > 0, "sparseCount must be positive, got " + std::to_string(sparseCount));
    indexer.run(sparseIndices, returnValues ? sparseValues : Out());
}
