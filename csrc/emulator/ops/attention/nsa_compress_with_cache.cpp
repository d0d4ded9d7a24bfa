// Native sparse attention for serving: the last tokens of a sequence become a compressed one.
#include "emulator/ops/attention/nsa_infer.h"

using namespace ascend_emulator;

namespace {

struct LastWindows {
    Tensor input;   // [pages, tokens of a page, heads, D] with a table, or [tokens, heads, D]
    Tensor weight;  // [block, heads]
    Tensor table;
    IntList lengths;
    Int block;
    Int stride;

    void check(const Tensor& cache, Int page) const {
        check_multiple_of_16("compressBlockSize", block, 64);
        check_multiple_of_16("compressStride", stride, 64);
        require(block >= stride, "compressBlockSize must be at least compressStride");
        const Int rank = table.defined() ? 4 : 3;
        require(input.dim() == rank, "input must have " + std::to_string(rank) +
                                         " dimensions, got " + std::to_string(input.dim()));
        require(!table.defined() || ((page == 64 || page == 128) && input.size(1) == page),
                "pageBlockSize must be 64 or 128 and that of input, got " + std::to_string(page));
        const Int heads = input.size(-2);
        const Int size = input.size(-1);
        require(heads <= 64 && (heads <= 50 || heads % 2 == 0),
                "input must have at most 64 heads, an even number above 50, got " +
                    std::to_string(heads));
        require(size % 16 == 0 && size <= 256,
                "head_dim must be a multiple of 16 up to 256, got " + std::to_string(size));
        require(weight.sizes() == IntList{block, heads},
                "weight must be [compressBlockSize, heads]");
        require(cache.dim() == 3 && cache.size(1) == heads && cache.size(2) == size,
                "outputCache must be [tokens, " + std::to_string(heads) + ", " +
                    std::to_string(size) + "]");
        const bool is_half = input.dtype() == DType::float16 || input.dtype() == DType::bfloat16;
        require(is_half && weight.dtype() == input.dtype() && cache.dtype() == input.dtype(),
                "input, weight and outputCache must be float16 or bfloat16, all the same");
        check_lengths();
    }

    /// The last `block` tokens of a sequence that begins at token `begin` of an input without
    /// pages.
    Tensor tokens(Int sequence, Int begin) const {
        const Int end = lengths[as_index(sequence)];
        if (!table.defined()) {
            return rows(input, begin + end - block, begin + end).to_float();
        }
        return Paged{input, table}.tokens(sequence, consecutive(end - block, end), input.size(2));
    }

    void run(const Tensor& slots, const Tensor& cache) const {
        const IntList places = integers_of(slots);
        const Tensor factor = aten("unsqueeze", weight.to_float(), -1);
        Int begin = 0;
        for (std::size_t i = 0; i < lengths.size(); ++i) {
            if (lengths[i] >= block && (lengths[i] - block) % stride == 0) {
                require(places[i] >= 0 && places[i] < cache.size(0),
                        "slotMapping must be 0 to " + std::to_string(cache.size(0) - 1) + ", got " +
                            std::to_string(places[i]));
                assign(aten("select.int", cache, 0, places[i]),
                       (tokens(static_cast<Int>(i), begin) * factor).sum({0}));
            }
            begin += lengths[i];
        }
    }

  private:
    void check_lengths() const {
        require(!lengths.empty() && lengths.size() <= 2048,
                "actSeqLen must have 1 to 2048 elements, got " + std::to_string(lengths.size()));
        if (table.defined()) {
            Paged::check(input, table, static_cast<Int>(lengths.size()));
            const Int capacity = Paged{input, table}.capacity();
            require(*std::max_element(lengths.begin(), lengths.end()) <= capacity,
                    "actSeqLen must be at most " + std::to_string(capacity));
        } else {
            require(
                std::accumulate(lengths.begin(), lengths.end(), Int{0}) == input.size(0),
                "actSeqLen must add up to the tokens of input, " + std::to_string(input.size(0)));
        }
    }
};

}  // namespace

// The layout counts without a blockTable only.
ACLNN_CHECKED(aclnnNsaCompressWithCache, Tensor input, Tensor weight, Tensor slotMapping,
              OptionalInts actSeqLen, Optional<Tensor> blockTable, String layout,
              Int compressBlockSize, Int compressStride, Int actSeqLenType, Int pageBlockSize,
              InOut outputCache) {
    require_ascend910b_or_910_93();
    require(blockTable.defined() || layout == "TND", "layout must be TND, got " + layout);
    require(actSeqLenType == 1, "actSeqLenType must be 1, got " + std::to_string(actSeqLenType));
    const LastWindows windows = {
        input,         weight, blockTable, actSeqLen.values.value_or(IntList()), compressBlockSize,
        compressStride};
    windows.check(outputCache.tensor, pageBlockSize);
    require(slotMapping.dtype() == DType::int32 &&
                slotMapping.numel() == static_cast<Int>(windows.lengths.size()),
            "slotMapping must be int32 with one element per sequence");
    windows.run(slotMapping, outputCache.tensor);
}
