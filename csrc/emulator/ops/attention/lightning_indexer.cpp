// The indexer that chooses the keys of each query for sparse attention, in fp32.
#include <limits>

#include "emulator/ops/attention/sparse_flash_attention.h"

using namespace ascend_emulator;

namespace {

struct LightningIndexer {
    SparseFlashAttention layout;  // where the tokens are; it has no values
    Tensor weights;
    Int count;
    Tensor query_scale;  // one per token and head if query is quantized
    Tensor key_scale;    // one per token if key is quantized

    void check() const {
        layout.check(2, false);
        require(layout.key.size(-2) == 1,
                "key must have one head, got " + std::to_string(layout.key.size(-2)));
        require(count > 0, "sparseCount must be positive, got " + std::to_string(count));
    }

    void run(const Out& indices, const Out& values) const {
        const Queries query = queries();
        const Int tokens = query.values.size(0);
        const IntList table =
            layout.block_table.defined() ? integers_of(layout.block_table) : IntList();
        const Tensor found = full({tokens, count}, Scalar{std::int64_t{-1}}, DType::int64);
        const Tensor best =
            full({tokens, count}, Scalar{-std::numeric_limits<double>::infinity()}, DType::float32);
        const auto all = layout.sequences();
        for (Int b = 0; b < static_cast<Int>(all.size()); ++b) {
            const auto& one = all[as_index(b)];
            const Keys keys = keys_of(b, one, table);
            for (Int i = 0; i < one.queries; ++i) {
                const Int end = layout.sparse_mode == 3 ? one.keys - one.queries + i + 1 : one.keys;
                if (end <= 0) {
                    continue;
                }
                const Int token = one.begin + i;
                const Tensor visible = scores(token, query, keys).narrow(0, end);
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

  private:
    /// The keys of one sequence, [keys, D], and their scales.
    struct Keys {
        Tensor values;
        Tensor scale;
    };
    Keys keys_of(Int b, const SparseFlashAttention::Sequence& one, const IntList& table) const {
        IntList rows(as_index(one.keys));
        for (Int j = 0; j < one.keys; ++j) {
            rows[as_index(j)] = layout.row_of(b, one, j, table);
        }
        const auto picked = [&](const Tensor& x) {
            return aten("index_select", x.to_float(), 0, integer_tensor(rows));
        };
        return {picked(layout.key.reshape({-1, layout.key.size(-1)})),
                key_scale.defined() ? picked(key_scale.reshape({-1})) : Tensor()};
    }
    /// All query tokens, [tokens, heads, D], their weights and their scales, [tokens, heads].
    struct Queries {
        Tensor values;
        Tensor weights;
        Tensor scale;
    };
    Queries queries() const {
        const Int heads = layout.query.size(-2);
        const auto per_head = [&](const Tensor& x) { return x.to_float().reshape({-1, heads}); };
        return {flat_tokens(layout.query), per_head(weights),
                query_scale.defined() ? per_head(query_scale) : Tensor()};
    }
    /// The scores of all keys of a sequence for one query token: weighted sums over the heads of
    /// what is positive.
    static Tensor scores(Int token, const Queries& queries, const Keys& keys) {
        const auto of_token = [&](const Tensor& x) { return aten("select.int", x, 0, token); };
        const auto column = [&](const Tensor& x) { return aten("unsqueeze", of_token(x), -1); };
        Tensor products = aten("matmul", of_token(queries.values), keys.values.transpose(0, 1));
        if (queries.scale.defined()) {
            products = products * column(queries.scale) * keys.scale;
        }
        return (aten("relu", products) * column(queries.weights)).sum({0});
    }
};

/// What quantized operands must be. A product of 128 elements of int8 is exact in fp32.
void check_quantized_indexer(const LightningIndexer& indexer, Int query_mode, Int key_mode) {
    const SparseFlashAttention& layout = indexer.layout;
    const DType quantized = is_ascend950() ? DType::float8_e4m3fn : DType::int8;
    require(layout.query.dtype() == quantized && layout.key.dtype() == quantized,
            std::string("query and key must be ") + name_of(quantized) + ", got " +
                name_of(layout.query.dtype()) + " and " + name_of(layout.key.dtype()));
    require(query_mode == 0 && key_mode == 0, "queryQuantMode and keyQuantMode must be 0, got " +
                                                  std::to_string(query_mode) + " and " +
                                                  std::to_string(key_mode));
    require(layout.query.size(-1) == 128 && layout.key.size(-1) == 128,
            "the head_dim of query and key must be 128, got " +
                std::to_string(layout.query.size(-1)) + " and " +
                std::to_string(layout.key.size(-1)));
    require(layout.query.size(-2) <= 64,
            "query must have at most 64 heads, got " + std::to_string(layout.query.size(-2)));
    require(indexer.count <= 2048,
            "sparseCount must be 1 to 2048, got " + std::to_string(indexer.count));
    const Int per_token = layout.query.numel() / 128;
    require(indexer.weights.numel() == per_token && indexer.query_scale.numel() == per_token,
            "weights and queryDequantScale must have one element per token and head, " +
                std::to_string(per_token));
    require(indexer.key_scale.numel() == layout.key.numel() / 128,
            "keyDequantScale must have one element per token, " +
                std::to_string(layout.key.numel() / 128) + ", got " +
                std::to_string(indexer.key_scale.numel()));
    const bool is_half = indexer.weights.dtype() == DType::float16;
    require(is_half || (is_ascend950() && indexer.weights.dtype() == DType::bfloat16),
            std::string("weights must be float16, got ") + name_of(indexer.weights.dtype()));
    const DType scale = is_half ? DType::float16 : DType::float32;
    require(indexer.query_scale.dtype() == scale && indexer.key_scale.dtype() == scale,
            std::string("queryDequantScale and keyDequantScale must be ") + name_of(scale));
    const bool is_paged = layout.key_layout == "PA_BSND";
    const Int block = layout.key.size(1);
    require(!is_paged || (block % 16 == 0 && block <= 1024),
            "key must have blocks of a multiple of 16 tokens, at most 1024, got " +
                std::to_string(block));
    require(!is_paged || layout.key_lengths.defined(),
            "actualSeqLengthsKey is required with layoutKey PA_BSND");
}

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
        sparseCount,
        Tensor(),
        Tensor()};
    indexer.check();
    indexer.run(sparseIndices, returnValues ? sparseValues : Out());
}
ACLNN_CHECKED(aclnnQuantLightningIndexer, Tensor query, Tensor key, Tensor weights,
              Tensor queryDequantScale, Tensor keyDequantScale,
              Optional<Tensor> actualSeqLengthsQuery, Optional<Tensor> actualSeqLengthsKey,
              Optional<Tensor> blockTable, Int queryQuantMode, Int keyQuantMode, String layoutQuery,
              String layoutKey, Int sparseCount, Int sparseMode,
              REFUSED_UNLESS(INT64_MAX, Int, preTokens), REFUSED_UNLESS(INT64_MAX, Int, nextTokens),
              Out sparseIndices) {
    require_ascend910b_910_93_or_950();
    const LightningIndexer indexer = {
        {query, key, Tensor(), Tensor(), blockTable, actualSeqLengthsQuery, actualSeqLengthsKey,
         Tensor(), Tensor(), 1, 1, layoutQuery, layoutKey, sparseMode},
        weights,
        sparseCount,
        queryDequantScale,
        keyDequantScale};
    indexer.check();
    check_quantized_indexer(indexer, queryQuantMode, keyQuantMode);
    indexer.run(sparseIndices, Out());
}
