// Attention to the keys that an indexer has chosen for each query, in fp32: where the tokens of
// each sequence are, and which keys a query sees.
#pragma once

#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

namespace ascend_emulator {

/// [tokens, heads, D] in fp32, with the rotated part at the end of D if there is one.
inline Tensor flat_tokens(const Tensor& x, const Tensor& rope = {}) {
    const Tensor flat = x.to_float().reshape({-1, x.size(-2), x.size(-1)});
    return rope.defined() ? aten("cat", TensorList{flat, flat_tokens(rope)}, -1) : flat;
}

struct SparseFlashAttention {
    Tensor query;
    Tensor key;
    Tensor value;
    Tensor indices;  // of blocks of keys; -1 after the last one
    Tensor block_table;
    Tensor query_lengths;  // cumulative in layout TND
    Tensor key_lengths;
    Tensor query_rope;
    Tensor key_rope;
    double scale;
    Int block;
    String query_layout;
    String key_layout;
    Int sparse_mode;

    void check(Int attention_mode, bool wants_lse) const {
        require(query_layout == "BSND" || query_layout == "TND",
                "layoutQuery must be BSND or TND, got " + query_layout);
        require(key_layout == query_layout || key_layout == "PA_BSND",
                "layoutKv must be that of the query or PA_BSND, got " + key_layout);
        require((key_layout == "PA_BSND") == block_table.defined(),
                "blockTable must be given with layoutKv PA_BSND only");
        require(sparse_mode == 0 || sparse_mode == 3,
                "sparseMode must be 0 or 3, got " + std::to_string(sparse_mode));
        require(block > 0, "sparseBlockSize must be positive, got " + std::to_string(block));
        require(query_rope.defined() == key_rope.defined(),
                "queryRope and keyRope must be given together");
        if (attention_mode != 2) {
            not_emulated("attentionMode " + std::to_string(attention_mode));
        }
        if (wants_lse) {
            not_emulated("returnSoftmaxLse");
        }
    }

    /// The query's tokens of each sequence: where they begin, and their number; and the same for
    /// the keys.
    struct Sequence {
        Int begin;
        Int queries;
        Int key_begin;
        Int keys;
    };
    std::vector<Sequence> sequences() const {
        std::vector<Sequence> all;
        const bool ragged = query_layout == "TND";
        require(!ragged || (query_lengths.defined() && key_lengths.defined()),
                "actualSeqLengthsQuery and actualSeqLengthsKv are required with layout TND");
        const IntList queries = query_lengths.defined() ? integers_of(query_lengths) : IntList();
        const IntList keys = key_lengths.defined() ? integers_of(key_lengths) : IntList();
        const Int count = ragged ? static_cast<Int>(queries.size()) : query.size(0);
        Int begin = 0;
        Int key_begin = 0;
        for (Int b = 0; b < count; ++b) {
            const Int capacity = key_layout == "PA_BSND" ? block_table.size(1) * key.size(1)
                                                         : key.size(ragged ? 0 : 1);
            Sequence one = {b * query.size(1), query.size(1), b * capacity, capacity};
            if (ragged) {
                one.begin = begin;
                one.queries = queries[as_index(b)] - begin;
                begin = queries[as_index(b)];
            } else if (!queries.empty()) {
                one.queries = queries[as_index(b)];
            }
            if (!keys.empty()) {
                const bool is_end = key_layout == "TND";
                one.keys = keys[as_index(b)] - (is_end ? key_begin : 0);
                one.key_begin = is_end ? key_begin : one.key_begin;
                key_begin = keys[as_index(b)];
            }
            all.push_back(one);
        }
        return all;
    }
    /// The row of a key in the flattened keys.
    Int row_of(Int b, const Sequence& one, Int position, const IntList& table) const {
        if (key_layout != "PA_BSND") {
            return one.key_begin + position;
        }
        const Int size = key.size(1);
        return table[as_index(b * block_table.size(1) + position / size)] * size + position % size;
    }
    /// The keys that query i of a sequence sees.
    IntList positions(const Int* chosen, Int i, const Sequence& one) const {
        const Int end = sparse_mode == 3 ? one.keys - one.queries + i + 1 : one.keys;
        IntList found;
        for (Int slot = 0; slot < indices.size(-1) && chosen[slot] >= 0; ++slot) {
            for (Int j = chosen[slot] * block; j < (chosen[slot] + 1) * block && j < end; ++j) {
                found.push_back(j);
            }
        }
        return found;
    }

    void run(const Out& out) const {
        const Tensor q = flat_tokens(query, query_rope);
        const Tensor k = flat_tokens(key, key_rope);
        const Tensor v = flat_tokens(value);
        const IntList chosen = integers_of(indices);
        const IntList table = block_table.defined() ? integers_of(block_table) : IntList();
        const Tensor results = full(flat_tokens(query).sizes(), Scalar{0.0}, DType::float32);
        const std::vector<Sequence> all = sequences();
        for (Int b = 0; b < static_cast<Int>(all.size()); ++b) {
            for (Int i = 0; i < all[as_index(b)].queries; ++i) {
                const Int token = all[as_index(b)].begin + i;
                attend(b, i, all[as_index(b)], token, q, k, v, chosen, table, results);
            }
        }
        out = results.reshape(out.tensor.sizes());
    }

  private:
    void attend(Int b, Int i, const Sequence& one, Int token, const Tensor& q, const Tensor& k,
                const Tensor& v, const IntList& chosen, const IntList& table,
                const Tensor& results) const {
        const Int key_heads = k.size(1);
        const Int group = q.size(1) / key_heads;
        const Int width = indices.size(-1);
        for (Int head = 0; head < key_heads; ++head) {
            IntList rows = positions(&chosen[as_index((token * key_heads + head) * width)], i, one);
            if (rows.empty()) {
                continue;  // 0
            }
            for (Int& position : rows) {
                position = row_of(b, one, position, table);
            }
            const auto picked = [&](const Tensor& x) {
                return aten("index_select", aten("select.int", x, 1, head), 0,
                            integer_tensor(rows));
            };
            const auto heads = [&](const Tensor& x) {
                return aten("slice.Tensor", aten("select.int", x, 0, token), 0, head * group,
                            (head + 1) * group);
            };
            const Tensor scores = aten("matmul", heads(q), picked(k).transpose(0, 1)) * scale;
            assign(heads(results), aten("matmul", aten("softmax.int", scores, Int{-1}), picked(v)));
        }
    }
};

}  // namespace ascend_emulator
