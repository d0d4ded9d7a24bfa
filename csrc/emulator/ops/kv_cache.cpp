// Writes to and reads from a paged KV cache, token by token.
#include <cstring>

#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace {

/// The tokens of a [blocks, block size, heads, head_dim] cache, or a [tokens, heads, head_dim]
/// tensor.
struct Tokens {
    explicit Tokens(const Tensor& x)
        : data(static_cast<char*>(x.data())),
          count(x.dim() == 4 ? x.size(0) * x.size(1) : x.size(0)),
          bytes(x.size(-2) * x.size(-1) * element_size(x.dtype())) {}
    char* at(Int index) const { return data + index * bytes; }

    char* data;
    Int count;
    Int bytes;  // per token
};

/// Refuse what a device refuses: other dtypes, and memory that is not contiguous.
void check_data(const char* name, const Tensor& x, Int rank, DType dtype) {
    const std::string argument = name;
    require(x.defined(), argument + " must be given");
    require(x.dim() == rank, argument + " must have " + std::to_string(rank) + " dimensions, got " +
                                 std::to_string(x.dim()));
    require(x.contiguous().impl() == x.impl(), argument + " must be contiguous");
    require(x.dtype() == dtype, argument + " must have the dtype of key, " + name_of(dtype) +
                                    ", got " + name_of(x.dtype()));
    const bool narrow = dtype == DType::float16 || dtype == DType::bfloat16 || dtype == DType::int8;
    require(narrow || (is_ascend950() && dtype == DType::float32),
            argument + " must be float16, bfloat16 or int8, got " + name_of(dtype));
}

void check_heads(const char* name, const Tensor& tokens, const Tensor& cache) {
    require(tokens.size(-1) == cache.size(-1) && tokens.size(-2) == cache.size(-2),
            std::string(name) + " must have the heads and the head_dim of its cache");
}

IntList integers(const char* name, const Tensor& x, bool allow_int64) {
    require(x.dtype() == DType::int32 || (allow_int64 && x.dtype() == DType::int64),
            std::string(name) + " must be int32, got " + name_of(x.dtype()));
    const Tensor wide = x.to(DType::int64).contiguous();
    const auto* first = static_cast<const Int*>(wide.data());
    return {first, first + wide.numel()};
}

void check_slots(const IntList& slots, Int count) {
    std::vector<bool> used(static_cast<std::size_t>(count), false);
    for (std::size_t token = 0; token < slots.size(); ++token) {
        const Int slot = slots[token];
        const std::string got = std::to_string(slot) + " for token " + std::to_string(token);
        require(slot >= 0 && slot < count, "slot_mapping must hold slots of 0 to " +
                                               std::to_string(count - 1) + ", got " + got);
        require(!used[static_cast<std::size_t>(slot)],
                "slot_mapping must name each slot at most once, got again " + got);
        used[static_cast<std::size_t>(slot)] = true;
    }
}

void copy_tokens(const Tensor& from, const Tensor& to, const IntList& slots) {
    const Tokens source(from);
    const Tokens target(to);
    for (std::size_t token = 0; token < slots.size(); ++token) {
        std::memcpy(target.at(slots[token]), source.at(static_cast<Int>(token)),
                    static_cast<std::size_t>(source.bytes));
    }
}

}  // namespace

ACLNN_CHECKED(aclnnScatterPaKvCache, Tensor key, InOut key_cache, Tensor slot_mapping, Tensor value,
              InOut value_cache, REFUSED(Tensor, compressLens), REFUSED(Tensor, compressSeqOffset),
              REFUSED(Tensor, seqLens), String cache_mode, String scatter_mode,
              REFUSED_UNLESS(1, Ints, strides), REFUSED(Ints, offsets)) {
    if (!cache_mode.empty() && cache_mode != "Norm") {
        not_emulated("cacheMode " + cache_mode);
    }
    if (!scatter_mode.empty() && scatter_mode != "None") {
        not_emulated("scatterMode " + scatter_mode);
    }
    check_data("key", key, 3, key.dtype());
    check_data("value", value, 3, key.dtype());
    check_data("key_cache", key_cache.tensor, 4, key.dtype());
    check_data("value_cache", value_cache.tensor, 4, key.dtype());
    check_heads("key", key, key_cache.tensor);
    check_heads("value", value, value_cache.tensor);
    const Int slots = key_cache.tensor.size(0) * key_cache.tensor.size(1);
    require(value_cache.tensor.size(0) * value_cache.tensor.size(1) == slots,
            "key_cache and value_cache must have the same number of slots");
    require(slot_mapping.dim() == 1 && slot_mapping.numel() == key.size(0) &&
                value.size(0) == key.size(0),
            "slot_mapping must have one slot per token of key and value");
    const IntList mapping = integers("slot_mapping", slot_mapping, true);
    check_slots(mapping, slots);
    copy_tokens(key, key_cache.tensor, mapping);
    copy_tokens(value, value_cache.tensor, mapping);
}

// Compressed heads, which the lengths and offsets describe, are not emulated.
ACLNN_CHECKED(aclnnScatterPaCache, Tensor key, InOut key_cache, Tensor slot_mapping,
              REFUSED(Tensor, compressLens), REFUSED(Tensor, compressSeqOffset),
              REFUSED(Tensor, seqLens), Unused<String> cache_mode) {
    (void)cache_mode;  // reserved
    check_data("key", key, 3, key.dtype());
    check_data("key_cache", key_cache.tensor, 4, key.dtype());
    check_heads("key", key, key_cache.tensor);
    require(slot_mapping.dim() == 1 && slot_mapping.numel() == key.size(0),
            "slot_mapping must have one slot per token of key");
    const IntList mapping = integers("slot_mapping", slot_mapping, true);
    check_slots(mapping, key_cache.tensor.size(0) * key_cache.tensor.size(1));
    copy_tokens(key, key_cache.tensor, mapping);
}

namespace {

/// The slot of the cache that each token of the result comes from.
IntList source_slots(const Tensor& cache, const Tensor& block_table, const IntList& lengths) {
    const Int block_size = cache.size(1);
    const Int columns = block_table.size(1);
    const IntList blocks = integers("block_table", block_table, is_ascend950());
    IntList slots;
    for (std::size_t row = 0; row < lengths.size(); ++row) {
        require(lengths[row] >= 0 && lengths[row] <= columns * block_size,
                "seq_lens must be 0 to " + std::to_string(columns * block_size) + ", got " +
                    std::to_string(lengths[row]) + " for sequence " + std::to_string(row));
        for (Int position = 0; position < lengths[row]; ++position) {
            const Int block = blocks[row * static_cast<std::size_t>(columns) +
                                     static_cast<std::size_t>(position / block_size)];
            require(block >= 0 && block < cache.size(0),
                    "block_table must hold blocks of 0 to " + std::to_string(cache.size(0) - 1) +
                        ", got " + std::to_string(block) + " for sequence " + std::to_string(row));
            slots.push_back(block * block_size + position % block_size);
        }
    }
    return slots;
}

void gather_tokens(const Tensor& cache, const Tensor& to, const IntList& slots) {
    const Tokens source(cache);
    const Tokens target(to);
    for (std::size_t token = 0; token < slots.size(); ++token) {
        std::memcpy(target.at(static_cast<Int>(token)), source.at(slots[token]),
                    static_cast<std::size_t>(source.bytes));
    }
}

}  // namespace

ACLNN_CHECKED(aclnnGatherPaKvCache, Tensor key_cache, Tensor value_cache, Tensor block_table,
              Tensor seq_lens, InOut key, InOut value, Optional<Tensor> seq_offset,
              String cache_mode, bool is_cumulative) {
    if (cache_mode != "Norm") {
        not_emulated("cacheMode " + cache_mode);
    }
    if (seq_offset.defined() || is_cumulative) {
        not_emulated("seqOffset or isSeqLensCumsum");
    }
    check_data("key_cache", key_cache, 4, key.tensor.dtype());
    check_data("value_cache", value_cache, 4, key.tensor.dtype());
    check_data("key", key.tensor, 3, key.tensor.dtype());
    check_data("value", value.tensor, 3, key.tensor.dtype());
    check_heads("key", key.tensor, key_cache);
    check_heads("value", value.tensor, value_cache);
    require(block_table.dim() == 2 && seq_lens.dim() == 1 &&
                block_table.size(0) == seq_lens.numel() &&
                block_table.contiguous().impl() == block_table.impl(),
            "block_table must be contiguous, with one row per length in seq_lens");
    const IntList slots =
        source_slots(key_cache, block_table, integers("seq_lens", seq_lens, is_ascend950()));
    const auto tokens = static_cast<Int>(slots.size());
    require(key.tensor.size(0) == tokens && value.tensor.size(0) == tokens,
            "key and value must have as many tokens as seq_lens add up to, " +
                std::to_string(tokens) + ", got " + std::to_string(key.tensor.size(0)));
    gather_tokens(key_cache, key.tensor, slots);
    gather_tokens(value_cache, value.tensor, slots);
}
