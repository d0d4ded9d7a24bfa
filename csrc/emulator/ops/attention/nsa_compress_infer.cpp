// Native sparse attention for serving: attention to compressed keys, which also selects blocks.
#include <limits>

#include "emulator/ops/attention/nsa.h"
#include "emulator/ops/attention/nsa_infer.h"

using namespace ascend_emulator;

namespace {

struct CompressedAttention {
    ServedQueries queries;
    Paged keys;
    Paged values;
    IntList lengths;        // of the compressed keys
    IntList token_lengths;  // of what was compressed
    bool is_masked;
    Int key_heads;
    Int block;
    Int count;
    Int window;
    Int stride;
    double scale;

    void check(Int page, const Out& out, const Out& chosen) const {
        require(queries.layout == "TND" || queries.layout == "BSND",
                "layout must be TND or BSND, got " + queries.layout);
        check_head_group(queries.heads, key_heads, 128);
        require(128 % (queries.heads / key_heads) == 0,
                "numHeads / numKeyValueHeads must divide 128, got " +
                    std::to_string(queries.heads / key_heads));
        queries.check();
        check_multiple_of_16("pageBlockSize", page, 128);
        check_multiple_of_16("selectBlockSize", block, 128);
        check_multiple_of_16("compressBlockSize", window, 128);
        check_multiple_of_16("compressBlockStride", stride, 64);
        require(window >= stride && block >= window && block % stride == 0,
                "compressBlockSize must be at least compressBlockStride, and selectBlockSize at "
                "least compressBlockSize and a multiple of compressBlockStride");
        const Int size = cached_head_dim("key", keys.cache, queries, key_heads, page, 3);
        const Int value_size = cached_head_dim("value", values.cache, queries, key_heads, page, 3);
        require(size == queries.size() && size <= 192 && value_size <= 128 && value_size <= size,
                "the head_dims of query and key must be equal, at most 192, and that of value at "
                "most theirs and 128, got " +
                    std::to_string(queries.size()) + ", " + std::to_string(size) + " and " +
                    std::to_string(value_size));
        check_key_lengths("actualCmpKvSeqLen", lengths, keys);
        check_blocks();
        require(out.tensor.numel() == queries.tokens() * queries.heads * value_size,
                "output must have head_dim elements of value per token and head");
        require(chosen.tensor.dtype() == DType::int32 &&
                    chosen.tensor.numel() == queries.tokens() * key_heads * count,
                "topKOutput must be int32 with selectBlockCount elements per token and key head");
    }

    void run(const Out& out, const Out& chosen) const {
        const Tensor q = queries.flat();
        const Int group = queries.heads / key_heads;
        const Int tokens = queries.tokens();
        const Tensor results =
            aten("clone", out.tensor.to_float().reshape({tokens, queries.heads, -1}));
        const Tensor indices =
            aten("clone", chosen.tensor.to(DType::int64).reshape({tokens, key_heads, count}));
        const auto spans = queries.spans();
        for (Int b = 0; b < queries.batch; ++b) {
            const Int length = lengths[as_index(b)];
            const Tensor k = keys.tokens(b, consecutive(0, length), key_heads);
            const Tensor v = values.tokens(b, consecutive(0, length), key_heads);
            const auto& span = spans[as_index(b)];
            for (Int i = 0; i < span.count * key_heads; ++i) {
                const Int token = span.begin + i / key_heads;
                const Int head = i % key_heads;
                const Tensor p = probabilities(group_heads(q, token, head, group),
                                               one_head(k, head), b, span.count, i / key_heads);
                assign(group_heads(results, token, head, group),
                       aten("matmul", p, one_head(v, head)));
                assign(aten("select.int", aten("select.int", indices, 0, token), 0, head),
                       best(p, length));
            }
        }
        out = results.reshape(out.tensor.sizes());
        chosen = indices.reshape(chosen.tensor.sizes());
    }

  private:
    /// The blocks of what was compressed into `length` keys.
    Int blocks(Int length) const { return ((length - 1) * stride + window + block - 1) / block; }

    void check_blocks() const {
        const auto [least, most] = std::minmax_element(lengths.begin(), lengths.end());
        require(*most <= 8192,
                "actualCmpKvSeqLen must be at most 8192, got " + std::to_string(*most));
        require(blocks(*most) <= 4096,
                "the tokens of a sequence must be at most 4096 blocks, got " +
                    std::to_string(blocks(*most)));
        require(count >= 1 && count <= blocks(*least), "selectBlockCount must be 1 to " +
                                                           std::to_string(blocks(*least)) +
                                                           ", got " + std::to_string(count));
        const bool has_several = std::any_of(queries.lengths.begin(), queries.lengths.end(),
                                             [](Int n) { return n > 1; });
        require(!has_several || !is_masked || token_lengths.size() == lengths.size(),
                "actualSelKvSeqLen must have one element per sequence if several queries of a "
                "sequence have an attentionMask");
        for (std::size_t i = 0; has_several && i < token_lengths.size(); ++i) {
            require(lengths[i] == (token_lengths[i] - window) / stride + 1,
                    "actualCmpKvSeqLen must be (actualSelKvSeqLen - compressBlockSize) / "
                    "compressBlockStride + 1, got " +
                        std::to_string(lengths[i]));
        }
    }
    /// With a mask, query i of several does not see the last key if that has tokens after i's own.
    Tensor probabilities(const Tensor& query, const Tensor& key, Int b, Int several, Int i) const {
        Tensor scores = aten("matmul", query, key.transpose(0, 1)) * scale;
        if (is_masked && several > 1) {
            const Int last = lengths[as_index(b)] - 1;
            const Int after = token_lengths[as_index(b)] - (last * stride + window);
            if (several - i - 1 > after) {
                aten("fill_.Scalar", columns(scores, last, last + 1),
                     Scalar{static_cast<double>(std::numeric_limits<float>::lowest())});
            }
        }
        return aten("softmax.int", scores, Int{-1});
    }
    /// The first and the last two blocks, and then those that matter most to all heads.
    Tensor best(const Tensor& p, Int length) const {
        const Int all = blocks(length);
        const Tensor sums = block_importance(p, {block / stride, window / stride, all}).sum({0});
        const Scalar always = {std::numeric_limits<double>::infinity()};
        aten("fill_.Scalar", rows(sums, 0, 1), always);
        aten("fill_.Scalar", rows(sums, std::max<Int>(all - 2, 0), all), always);
        return aten_all("sort.stable", sums, true, Int{0}, true)[1].narrow(0, count);
    }
};

}  // namespace

// The elements of attentionMask are not read, only whether there is one. CANN reserves topKMask and
// reads it nowhere.
ACLNN_CHECKED(aclnnNsaCompressAttentionInfer, Tensor query, Tensor key, Tensor value,
              Optional<Tensor> attentionMask, Tensor blockTable, OptionalInts actualQSeqLen,
              OptionalInts actualCmpKvSeqLen, OptionalInts actualSelKvSeqLen, Unused<Tensor>,
              Int numHeads, Int numKeyValueHeads, Int selectBlockSize, Int selectBlockCount,
              Int compressBlockSize, Int compressBlockStride, double scaleValue, String layout,
              Int pageBlockSize, REFUSED(Int, sparseMode), Out output, Out topKOutput) {
    require_ascend910b_or_910_93();
    require(blockTable.dim() == 2, "blockTable must have 2 dimensions");
    Paged::check(key, blockTable, blockTable.size(0));
    const CompressedAttention attention = {
        {query, layout, numHeads, actualQSeqLen.values.value_or(IntList()), blockTable.size(0)},
        {key, blockTable},
        {value, blockTable},
        actualCmpKvSeqLen.values.value_or(IntList()),
        actualSelKvSeqLen.values.value_or(IntList()),
        attentionMask.defined(),
        numKeyValueHeads,
        selectBlockSize,
        selectBlockCount,
        compressBlockSize,
        compressBlockStride,
        scaleValue};
    attention.check(pageBlockSize, output, topKOutput);
    attention.run(output, topKOutput);
}
