// Native sparse attention for serving: attention to the blocks that were chosen for each query.
#include "emulator/ops/attention/nsa_infer.h"

using namespace ascend_emulator;

namespace {

struct SelectedAttention {
    ServedQueries queries;
    Paged keys;
    Paged values;
    Tensor indices;  // of blocks, -1 after the last one
    IntList lengths;
    Int key_heads;
    Int block;
    double scale;

    void check(Int page, Int count, const Out& out) const {
        const String& layout = queries.layout;
        require(layout == "BSH" || layout == "BSND" || layout == "TND",
                "layout must be BSH, BSND or TND, got " + layout);
        require(queries.batch <= 3072,
                "blockTable must have at most 3072 rows, got " + std::to_string(queries.batch));
        check_head_group(queries.heads, key_heads, 16);
        require(key_heads <= 256,
                "numKeyValueHeads must be at most 256, got " + std::to_string(key_heads));
        queries.check();
        const Int size =
            cached_head_dim("key", keys.cache, queries, key_heads, page, layout == "BSND" ? 4 : 3);
        const Int value_size = cached_head_dim("value", values.cache, queries, key_heads, page,
                                               layout == "BSND" ? 4 : 3);
        require(queries.size() == 192 && size == 192 && value_size == 128,
                "the head_dims of query, key and value must be 192, 192 and 128, got " +
                    std::to_string(queries.size()) + ", " + std::to_string(size) + " and " +
                    std::to_string(value_size));
        require(page == 64 || page == 128,
                "pageBlockSize must be 64 or 128, got " + std::to_string(page));
        check_multiple_of_16("selectBlockSize", block, 128);
        require(indices.dtype() == DType::int32 && indices.size(-1) == count &&
                    indices.numel() == queries.tokens() * key_heads * count,
                "topkIndices must be int32 with selectBlockCount elements per token and key head");
        check_key_lengths("actualKvSeqLen", lengths, keys);
        require(out.tensor.numel() == queries.tokens() * queries.heads * value_size,
                "output must have 128 elements per token and head");
    }

    /// What a query sees of the blocks that were chosen for it.
    IntList positions(const Int* chosen, Int length, Int visible) const {
        IntList found;
        for (Int slot = 0; slot < indices.size(-1) && chosen[slot] >= 0; ++slot) {
            const Int begin = chosen[slot] * block;
            require(begin < length, "topkIndices must be less than " +
                                        std::to_string((length + block - 1) / block) + ", got " +
                                        std::to_string(chosen[slot]));
            for (Int j = begin; j < std::min(begin + block, visible); ++j) {
                found.push_back(j);
            }
        }
        return found;
    }

    void run(const Out& out) const {
        const Tensor q = queries.flat();
        const Int group = queries.heads / key_heads;
        const Tensor results =
            aten("clone", out.tensor.to_float().reshape({queries.tokens(), queries.heads, 128}));
        const IntList chosen = integers_of(indices);
        const auto spans = queries.spans();
        for (Int b = 0; b < queries.batch; ++b) {
            const auto& span = spans[as_index(b)];
            for (Int i = 0; i < span.count * key_heads; ++i) {
                const Int token = span.begin + i / key_heads;
                const Int head = i % key_heads;
                const Int length = lengths[as_index(b)];
                const Int* own = &chosen[as_index((token * key_heads + head) * indices.size(-1))];
                const IntList seen =
                    positions(own, length, length - (span.count - 1 - i / key_heads));
                const Tensor to = group_heads(results, token, head, group);
                if (seen.empty()) {
                    aten("zero_", to);
                    continue;
                }
                const Tensor k = one_head(keys.tokens(b, seen, key_heads), head);
                const Tensor v = one_head(values.tokens(b, seen, key_heads), head);
                const Tensor scores =
                    aten("matmul", group_heads(q, token, head, group), k.transpose(0, 1)) * scale;
                assign(to, aten("matmul", aten("softmax.int", scores, Int{-1}), v));
            }
        }
        out = results.reshape(out.tensor.sizes());
    }
};

}  // namespace

// CANN reserves attenMask and sparseMode and reads neither: of several queries of a sequence, each
// sees the keys up to its own position.
ACLNN_CHECKED(aclnnNsaSelectedAttentionInfer, Tensor query, Tensor key, Tensor value,
              Tensor topkIndices, Unused<Tensor>, Tensor blockTable, OptionalInts actualQSeqLen,
              OptionalInts actualKvSeqLen, String layout, Int numHeads, Int numKeyValueHeads,
              Int selectBlockSize, Int selectBlockCount, Int pageBlockSize, double scaleValue,
              Unused<Int>, Out output) {
    require_ascend910b_or_910_93();
    require(blockTable.dim() == 2, "blockTable must have 2 dimensions");
    Paged::check(key, blockTable, blockTable.size(0));
    const SelectedAttention attention = {
        {query, layout.empty() ? "BSND" : layout, numHeads,
         actualQSeqLen.values.value_or(IntList()), blockTable.size(0)},
        {key, blockTable},
        {value, blockTable},
        topkIndices,
        actualKvSeqLen.values.value_or(IntList()),
        numKeyValueHeads,
        selectBlockSize,
        scaleValue};
    attention.check(pageBlockSize, selectBlockCount, output);
    attention.run(output);
}
