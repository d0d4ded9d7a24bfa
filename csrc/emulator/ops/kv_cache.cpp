// Writing to and reading from a paged KV cache, a token at a time.
#include <cstring>
#include <stdexcept>

#include "emulator/aclnn/operation.h"

using namespace ascend_emulator;

namespace {

void require(bool holds, const std::string& what) {
    if (!holds) {
        throw std::runtime_error("paged KV cache: " + what);
    }
}

bool is_950() { return services().options().soc.rfind("Ascend950", 0) == 0; }

/// Of a [blocks, block size, heads, head size] cache or [tokens, heads, head size] tokens.
struct Tokens {
    explicit Tokens(const Tensor& x)
        : data(static_cast<char*>(x.data())),
          count(x.dim() == 4 ? x.size(0) * x.size(1) : x.size(0)),
          bytes(x.size(-2) * x.size(-1) * element_size(x.dtype())) {}
    char* at(Int index) const { return data + index * bytes; }

    char* data;
    Int count;
    Int bytes;  // of one token
};

/// What a device takes: its dtypes, and contiguous memory.
void check_data(const char* name, const Tensor& x, Int rank, DType dtype) {
    require(x.defined(), std::string("expected ") + name + ", found none");
    require(x.dim() == rank,
            std::string(name) + ": expected " + std::to_string(rank) + " dimensions");
    require(x.contiguous().impl() == x.impl(), std::string(name) + ": expected it contiguous");
    require(x.dtype() == dtype, std::string(name) + ": expected the dtype of key");
    const bool narrow = dtype == DType::float16 || dtype == DType::bfloat16 || dtype == DType::int8;
    require(narrow || (is_950() && dtype == DType::float32),
            std::string(name) + ": expected float16, bfloat16 or int8, found " + name_of(dtype));
}

void check_heads(const char* name, const Tensor& tokens, const Tensor& cache) {
    require(tokens.size(-1) == cache.size(-1) && tokens.size(-2) == cache.size(-2),
            std::string(name) + ": expected the heads and the head size of its cache");
}

IntList integers(const char* name, const Tensor& x, bool allow_int64) {
    require(x.dtype() == DType::int32 || (allow_int64 && x.dtype() == DType::int64),
            std::string(name) + ": expected int32, found " + name_of(x.dtype()));
    const Tensor wide = x.to(DType::int64).contiguous();
    const auto* first = static_cast<const Int*>(wide.data());
    return {first, first + wide.numel()};
}

void check_slots(const IntList& slots, Int count) {
    std::vector<bool> used(static_cast<std::size_t>(count), false);
    for (std::size_t token = 0; token < slots.size(); ++token) {
        const Int slot = slots[token];
        const std::string found =
            "slot " + std::to_string(slot) + " of token " + std::to_string(token);
        require(slot >= 0 && slot < count,
                "expected slots of 0 to " + std::to_string(count - 1) + ", found " + found);
        require(!used[static_cast<std::size_t>(slot)],
                "expected each slot once, found again " + found);
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

// Unused: what compressed caches need, and the strides of keys that lie apart.
ACLNN(aclnnScatterPaKvCache, Tensor key, InOut key_cache, Tensor slot_mapping, Tensor value,
      InOut value_cache, Unused<Tensor>, Unused<Tensor>, Unused<Tensor>, String cache_mode,
      String scatter_mode, Unused<Ints>, Unused<Ints>) {
    require(cache_mode.empty() || cache_mode == "Norm",
            "cache mode " + cache_mode + " is not emulated");
    require(scatter_mode.empty() || scatter_mode == "None",
            "scatter mode " + scatter_mode + " is not emulated");
    check_data("key", key, 3, key.dtype());
    check_data("value", value, 3, key.dtype());
    check_data("key cache", key_cache.tensor, 4, key.dtype());
    check_data("value cache", value_cache.tensor, 4, key.dtype());
    check_heads("key", key, key_cache.tensor);
    check_heads("value", value, value_cache.tensor);
    const Int slots = key_cache.tensor.size(0) * key_cache.tensor.size(1);
    require(value_cache.tensor.size(0) * value_cache.tensor.size(1) == slots,
            "expected two caches of one size");
    require(slot_mapping.dim() == 1 && slot_mapping.numel() == key.size(0) &&
                value.size(0) == key.size(0),
            "expected a slot for each token");
    const IntList mapping = integers("slots", slot_mapping, true);
    check_slots(mapping, slots);
    copy_tokens(key, key_cache.tensor, mapping);
    copy_tokens(value, value_cache.tensor, mapping);
}

namespace {

/// Where in the cache each token of the result is.
IntList source_slots(const Tensor& cache, const Tensor& block_table, const IntList& lengths) {
    const Int block_size = cache.size(1);
    const Int columns = block_table.size(1);
    const IntList blocks = integers("block table", block_table, is_950());
    IntList slots;
    for (std::size_t row = 0; row < lengths.size(); ++row) {
        require(lengths[row] >= 0 && lengths[row] <= columns * block_size,
                "expected lengths of 0 to " + std::to_string(columns * block_size) + ", found " +
                    std::to_string(lengths[row]) + " of sequence " + std::to_string(row));
        for (Int position = 0; position < lengths[row]; ++position) {
            const Int block = blocks[row * static_cast<std::size_t>(columns) +
                                     static_cast<std::size_t>(position / block_size)];
            require(block >= 0 && block < cache.size(0),
                    "expected blocks of 0 to " + std::to_string(cache.size(0) - 1) + ", found " +
                        std::to_string(block) + " of sequence " + std::to_string(row));
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

ACLNN(aclnnGatherPaKvCache, Tensor key_cache, Tensor value_cache, Tensor block_table,
      Tensor seq_lens, InOut key, InOut value, Tensor seq_offset, String cache_mode,
      bool is_cumulative) {
    require(cache_mode == "Norm", "cache mode " + cache_mode + " is not emulated");
    require(!seq_offset.defined() && !is_cumulative,
            "offsets and cumulative lengths are not emulated");
    check_data("key cache", key_cache, 4, key.tensor.dtype());
    check_data("value cache", value_cache, 4, key.tensor.dtype());
    check_data("key", key.tensor, 3, key.tensor.dtype());
    check_data("value", value.tensor, 3, key.tensor.dtype());
    check_heads("key", key.tensor, key_cache);
    check_heads("value", value.tensor, value_cache);
    require(block_table.dim() == 2 && seq_lens.dim() == 1 &&
                block_table.size(0) == seq_lens.numel() &&
                block_table.contiguous().impl() == block_table.impl(),
            "expected a contiguous row of blocks for each length");
    const IntList slots =
        source_slots(key_cache, block_table, integers("lengths", seq_lens, is_950()));
    const auto tokens = static_cast<Int>(slots.size());
    require(key.tensor.size(0) == tokens && value.tensor.size(0) == tokens,
            "expected results of as many tokens as the lengths have, " + std::to_string(tokens) +
                ", found " + std::to_string(key.tensor.size(0)));
    gather_tokens(key_cache, key.tensor, slots);
    gather_tokens(value_cache, value.tensor, slots);
}
