#include "emulator/ops/attention/nsa_infer.h"

namespace ascend_emulator {

void Paged::check(const Tensor& cache, const Tensor& table, Int batch) {
    require(table.defined() && table.dim() == 2 && table.dtype() == DType::int32 &&
                table.size(0) == batch,
            "blockTable must be int32 with one row per sequence, " + std::to_string(batch));
    require(cache.dim() >= 3, "the cache must be [pages, tokens of a page, ..]");
}

IntList Paged::slots(Int sequence, const IntList& positions) const {
    const IntList pages = integers_of(pages_of(sequence));
    const Int size = cache.size(1);
    IntList found;
    for (const Int position : positions) {
        const Int page = pages[as_index(position / size)];
        require(page >= 0 && page < cache.size(0), "blockTable must hold 0 to " +
                                                       std::to_string(cache.size(0) - 1) +
                                                       ", got " + std::to_string(page));
        found.push_back(page * size + position % size);
    }
    return found;
}

void check_multiple_of_16(const char* name, Int value, Int most) {
    require(value > 0 && value <= most && value % 16 == 0,
            std::string(name) + " must be a multiple of 16 up to " + std::to_string(most) +
                ", got " + std::to_string(value));
}

void ServedQueries::check() const {
    const bool is_packed = layout == "TND";
    require(query.dim() == (layout == "BSND" ? 4 : 3) &&
                (layout == "BSH" || query.size(-2) == heads) && query.size(-1) > 0,
            "query must have the dimensions of layout " + layout + " and " + std::to_string(heads) +
                " heads");
    require(query.dtype() == DType::float16 || query.dtype() == DType::bfloat16,
            std::string("query must be float16 or bfloat16, got ") + name_of(query.dtype()));
    require(lengths.empty() || static_cast<Int>(lengths.size()) == batch,
            "actualQSeqLen must have one element per row of blockTable");
    const Int per_row = is_packed ? 4 : query.size(1);
    for (const Int length : lengths) {
        require(length >= 1 && length <= std::min<Int>(per_row, 4),
                "actualQSeqLen must be 1 to " + std::to_string(std::min<Int>(per_row, 4)) +
                    ", got " + std::to_string(length));
    }
    require(!lengths.empty() || is_packed || query.size(1) == 1,
            "actualQSeqLen is required if a sequence has several queries");
    const Int rows = !is_packed        ? batch
                     : lengths.empty() ? batch
                                       : std::accumulate(lengths.begin(), lengths.end(), Int{0});
    require(query.size(0) == rows, "the first dimension of query must be " + std::to_string(rows) +
                                       ", got " + std::to_string(query.size(0)));
}

std::vector<ServedQueries::Span> ServedQueries::spans() const {
    std::vector<Span> all;
    Int begin = 0;
    for (Int b = 0; b < batch; ++b) {
        const Int count = lengths.empty() ? 1 : lengths[as_index(b)];
        all.push_back({layout == "TND" ? begin : b * query.size(1), count});
        begin += count;
    }
    return all;
}

Int cached_head_dim(const char* name, const Tensor& cache, const ServedQueries& queries, Int heads,
                    Int page, Int dimensions) {
    const std::string argument = name;
    require(cache.dim() == dimensions && cache.numel() > 0,
            argument + " must have " + std::to_string(dimensions) + " dimensions, got " +
                std::to_string(cache.dim()));
    require(cache.dtype() == queries.query.dtype(),
            argument + " must have the dtype of query, got " + name_of(cache.dtype()));
    require(cache.size(1) == page, "pageBlockSize must be that of " + argument + ", " +
                                       std::to_string(cache.size(1)) + ", got " +
                                       std::to_string(page));
    const Int per_token = cache.numel() / (cache.size(0) * cache.size(1));
    require(per_token % heads == 0 && (dimensions == 3 || cache.size(2) == heads),
            argument + " must have " + std::to_string(heads) + " heads");
    return per_token / heads;
}

void check_head_group(Int heads, Int key_heads, Int largest_group) {
    require(
        heads > 0 && key_heads > 0 && heads % key_heads == 0 && heads / key_heads <= largest_group,
        "numHeads must be a multiple of numKeyValueHeads, at most " +
            std::to_string(largest_group) + " times as many, got " + std::to_string(heads) +
            " and " + std::to_string(key_heads));
}

void check_key_lengths(const char* name, const IntList& lengths, const Paged& keys) {
    require(static_cast<Int>(lengths.size()) == keys.table.size(0),
            std::string(name) + " must have one element per row of blockTable");
    for (const Int length : lengths) {
        require(length >= 1 && length <= keys.capacity(), std::string(name) + " must be 1 to " +
                                                              std::to_string(keys.capacity()) +
                                                              ", got " + std::to_string(length));
    }
}

}  // namespace ascend_emulator
