// What native sparse attention for serving shares: caches of pages, and the queries of sequences.
#pragma once

#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"
#include "emulator/ops/slices.h"

namespace ascend_emulator {

/// Tokens in pages, [pages, tokens of a page, ..], and the pages of each sequence.
struct Paged {
    Tensor cache;
    Tensor table;  // [batch, pages of a sequence]

    static void check(const Tensor& cache, const Tensor& table, Int batch);
    Int capacity() const { return table.size(1) * cache.size(1); }

    /// Rows of the cache, with pages and tokens as one dimension, for positions of a sequence.
    IntList slots(Int sequence, const IntList& positions) const;
    /// Positions of a sequence, [positions, heads, D] in fp32.
    Tensor tokens(Int sequence, const IntList& positions, Int heads) const {
        const Tensor flat = cache.reshape({cache.size(0) * cache.size(1), heads, -1});
        return aten("index_select", flat, 0, integer_tensor(slots(sequence, positions))).to_float();
    }

  private:
    Tensor pages_of(Int sequence) const { return aten("select.int", table, 0, sequence); }
};

/// The query tokens of each sequence.
struct ServedQueries {
    Tensor query;  // [tokens, heads, D], [batch, tokens, heads, D] or [batch, tokens, heads * D]
    String layout;
    Int heads;
    IntList lengths;  // empty if each sequence has one
    Int batch;

    struct Span {
        Int begin;
        Int count;
    };

    void check() const;
    std::vector<Span> spans() const;
    Int size() const { return layout == "BSH" ? query.size(2) / heads : query.size(-1); }
    Int tokens() const { return query.numel() / (heads * size()); }
    /// [tokens, heads, D] in fp32.
    Tensor flat() const { return query.to_float().reshape({-1, heads, size()}); }
};

/// The head_dim of a cache of 3 dimensions, [pages, tokens of a page, heads * D], or of 4.
Int cached_head_dim(const char* name, const Tensor& cache, const ServedQueries& queries, Int heads,
                    Int page, Int dimensions);

void check_multiple_of_16(const char* name, Int value, Int most);
void check_head_group(Int heads, Int key_heads, Int largest_group);
void check_key_lengths(const char* name, const IntList& lengths, const Paged& keys);

/// The query heads of a key head, or their results.
inline Tensor group_heads(const Tensor& x, Int token, Int head, Int group) {
    return rows(aten("select.int", x, 0, token), head * group, (head + 1) * group);
}
inline Tensor one_head(const Tensor& x, Int head) { return aten("select.int", x, 1, head); }

}  // namespace ascend_emulator
