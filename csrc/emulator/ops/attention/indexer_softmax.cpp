// The scores of an indexer of sparse attention, and the maxima and sums of their softmax, in fp32.
#include "emulator/ops/attention/indexer_loss.h"

using namespace ascend_emulator;

namespace {

bool is_half_float(DType dtype) { return dtype == DType::float16 || dtype == DType::bfloat16; }

void check_ends(const OptionalInts& ends, const char* argument, const Tensor& x) {
    require(ends.values && !ends.values->empty() && ends.values->back() == x.size(0) &&
                std::is_sorted(ends.values->begin(), ends.values->end()),
            std::string(argument) + " must ascend to the number of tokens, " +
                std::to_string(x.size(0)) + ", with layout TND");
}

}  // namespace

void IndexerOperands::check(Int sparse_mode) const {
    require(layout == "BSND" || layout == "TND", "layout must be BSND or TND, got " + layout);
    require(sparse_mode == 3, "sparseMode must be 3, got " + std::to_string(sparse_mode));
    const Int dim = layout == "TND" ? 3 : 4;
    require(query.dim() == dim && key.dim() == dim,
            "queryIndex and keyIndex must have " + std::to_string(dim) + " dimensions, got " +
                std::to_string(query.dim()) + " and " + std::to_string(key.dim()));
    require(query.size(-1) == 128 && key.size(-1) == 128,
            "the head_dim of queryIndex and keyIndex must be 128, got " +
                std::to_string(query.size(-1)) + " and " + std::to_string(key.size(-1)));
    const Int heads = query.size(-2);
    require(heads == 8 || heads == 16 || heads == 32 || heads == 64,
            "queryIndex must have 8, 16, 32 or 64 heads, got " + std::to_string(heads));
    require(key.size(-2) == 1, "keyIndex must have one head, got " + std::to_string(key.size(-2)));
    require(is_half_float(query.dtype()) && key.dtype() == query.dtype(),
            std::string("queryIndex and keyIndex must be float16 or bfloat16, got ") +
                name_of(query.dtype()) + " and " + name_of(key.dtype()));
    require(weights.numel() == query.numel() / 128,
            "weights must have one element per token and head, " +
                std::to_string(query.numel() / 128) + ", got " + std::to_string(weights.numel()));
    require(is_half_float(weights.dtype()) || weights.dtype() == DType::float32,
            std::string("weights must be float16, bfloat16 or float32, got ") +
                name_of(weights.dtype()));
    const auto is_given = [](const OptionalInts& ends) {
        return ends.values && !ends.values->empty();
    };
    if (layout == "BSND") {
        require(query.size(0) == key.size(0), "queryIndex and keyIndex must have one batch size");
        if (is_given(query_ends) || is_given(key_ends)) {
            not_emulated("a list of lengths with layout BSND");
        }
        return;
    }
    check_ends(query_ends, "actualSeqLengthsQuery", query);
    check_ends(key_ends, "actualSeqLengthsKey", key);
    require(
        query_ends.values.value_or(IntList()).size() == key_ends.values.value_or(IntList()).size(),
        "actualSeqLengthsQuery and actualSeqLengthsKey must have one length");
}

std::vector<SparseFlashAttention::Sequence> IndexerOperands::sequences() const {
    std::vector<SparseFlashAttention::Sequence> all;
    if (layout == "BSND") {
        for (Int b = 0; b < query.size(0); ++b) {
            all.push_back({b * query.size(1), query.size(1), b * key.size(1), key.size(1)});
        }
        return all;
    }
    const IntList ends = query_ends.values.value_or(IntList());
    const IntList other_ends = key_ends.values.value_or(IntList());
    Int begin = 0;
    Int key_begin = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
        const Int end = ends[i];
        const Int key_end = other_ends[i];
        all.push_back({begin, end - begin, key_begin, key_end - key_begin});
        begin = end;
        key_begin = key_end;
    }
    return all;
}

IndexerScores WideIndexer::scores(Int token, const Tensor& rows) const {
    const auto of = [&](const Tensor& x) { return aten("select.int", x, 0, token); };
    const Tensor keys = aten("index_select", key, 0, rows);
    const Tensor products = aten("matmul", of(query), keys.transpose(0, 1));
    return {keys, products, (aten("relu", products) * of(weights)).sum({0})};
}

void IndexerGradients::add(Int token, const Tensor& rows, const IndexerScores& scores,
                           const Tensor& change) const {
    const auto of = [&](const Tensor& x) { return aten("select.int", x, 0, token); };
    const Tensor positive = aten("gt.Scalar", scores.products, Scalar{0.0}).to_float();
    const Tensor inner = of(indexer.weights) * change * positive;
    assign(of(query), aten("matmul", inner, scores.keys));
    aten("index_add_", key, 0, rows, aten("matmul", inner.transpose(0, 1), of(indexer.query)));
    assign(of(weights), (aten("relu", scores.products) * change).sum({1}, true));
}

void IndexerGradients::store(const Out& d_query, const Out& d_key, const Out& d_weights) const {
    d_query = query.reshape(d_query.tensor.sizes());
    d_key = key.reshape(d_key.tensor.sizes());
    d_weights = weights.reshape(d_weights.tensor.sizes());
}

// Sparse mode 3 has no window, so preTokens and nextTokens do not matter.
ACLNN_CHECKED(aclnnDenseLightningIndexerSoftmaxLse, Tensor queryIndex, Tensor keyIndex,
              Tensor weights, OptionalInts actualSeqLengthsQuery, OptionalInts actualSeqLengthsKey,
              String layout, Int sparseMode, Unused<Int>, Unused<Int>, Out softmaxMaxOut,
              Out softmaxSumOut) {
    require_ascend910b_or_910_93();
    const IndexerOperands operands = {queryIndex,          keyIndex, weights, actualSeqLengthsQuery,
                                      actualSeqLengthsKey, layout};
    operands.check(sparseMode);
    const auto all = operands.sequences();
    for (const auto& one : all) {
        if (one.keys < one.queries) {
            not_emulated("a query that sees no key");
        }
    }
    const WideIndexer indexer(operands);
    const Tensor largest = full({indexer.query.size(0)}, Scalar{0.0}, DType::float32);
    const Tensor sums = full({indexer.query.size(0)}, Scalar{0.0}, DType::float32);
    for (const auto& one : all) {
        for (Int i = 0; i < one.queries; ++i) {
            const Int visible = one.keys - one.queries + i + 1;
            const IntList rows = consecutive(one.key_begin, one.key_begin + visible);
            const Tensor scores = indexer.scores(one.begin + i, integer_tensor(rows)).values;
            const Tensor top = aten("amax", scores, IntList{0}, true);
            assign(element_at(largest, one.begin + i), top);
            assign(element_at(sums, one.begin + i), aten("exp", scores - top).sum({0}, true));
        }
    }
    softmaxMaxOut = largest.reshape(softmaxMaxOut.tensor.sizes());
    softmaxSumOut = sums.reshape(softmaxSumOut.tensor.sizes());
}
