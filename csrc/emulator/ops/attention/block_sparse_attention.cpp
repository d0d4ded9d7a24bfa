// Attention over blocks of scores that a mask chooses, and its gradient.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/attention/flash_attention.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/slices.h"

using namespace ascend_emulator;

namespace {

/// One value per score, 1 if it is masked out, of `blocks`, which is 1 for a block that counts.
Tensor masked_out(const Tensor& blocks, const IntList& block_shape, Int queries, Int keys) {
    Tensor seen = blocks.to(DType::boolean);
    const Int lengths[] = {queries, keys};
    for (const Int i : {0, 1}) {
        const Int block = block_shape[static_cast<std::size_t>(i)];
        const Int dimension = 2 + i;
        if (seen.size(dimension) < (lengths[i] + block - 1) / block) {
            refuse("blockSparseMask must cover a sequence of " + std::to_string(lengths[i]) +
                   " with blocks of " + std::to_string(block) + ", got " +
                   std::to_string(seen.size(dimension)) + " blocks");
        }
        seen = aten("repeat_interleave.self_int", seen, block, dimension)
                   .narrow(dimension, lengths[i]);
    }
    return aten("logical_not", seen);
}

/// A sequence of queries or keys of a batch: [1, heads, length, head_dim] of any tensor.
struct BlockedSequence {
    Int batch;
    Int begin;
    Int length;
    bool is_flat;  // TND, all batches one after the other

    Tensor of(const Tensor& x) const {
        const Tensor own = is_flat ? x.transpose(0, 1) : aten("select.int", x, 0, batch);
        return aten("unsqueeze", slice(own, 1, begin, begin + length), 0);
    }
};

/// The sequences of x, with a length per batch; without lengths, those of BNSD have S tokens.
std::vector<BlockedSequence> blocked_sequences(const char* name, const Tensor& x,
                                               const std::string& layout,
                                               const OptionalInts& lengths, Int batches) {
    const bool is_flat = layout == "TND";
    const Int room = x.size(is_flat ? 0 : 2);
    const IntList given = lengths.values.value_or(
        is_flat ? IntList{} : IntList(static_cast<std::size_t>(batches), room));
    require(static_cast<Int>(given.size()) == batches,
            std::string(name) + " must have a length per batch, " + std::to_string(batches) +
                ", got " + text_of(given));
    std::vector<BlockedSequence> sequences;
    Int begin = 0;
    for (const Int length : given) {
        require(length >= 0 && begin + length <= room, std::string(name) + " must fit into " +
                                                           std::to_string(room) + " tokens, got " +
                                                           text_of(given));
        sequences.push_back({static_cast<Int>(sequences.size()), begin, length, is_flat});
        begin += is_flat ? length : 0;
    }
    return sequences;
}

/// The operands, checked.
struct BlockSparseAttention {
    Tensor query;
    Tensor key;
    Tensor value;
    Tensor blocks;
    IntList block_shape;
    double scale;
    std::vector<BlockedSequence> queries;
    std::vector<BlockedSequence> keys;

    BlockSparseAttention(const Tensor& query_, const Tensor& key_, const Tensor& value_,
                         const Tensor& blocks_, const OptionalInts& shape,
                         const OptionalInts& lengths, const OptionalInts& key_lengths,
                         const std::string& layout, const std::string& key_layout, Int shared_heads,
                         double scale_)
        : query(query_),
          key(key_),
          value(value_),
          blocks(blocks_),
          block_shape(shape.values.value_or(IntList{128, 128})),
          scale(scale_) {
        if (layout != key_layout || (layout != "BNSD" && layout != "TND")) {
            not_emulated("qInputLayout " + layout + " with kvInputLayout " + key_layout);
        }
        require(blocks.defined() && blocks.dim() == 4 && block_shape.size() == 2,
                "blockSparseMask of 4 dimensions and a blockShape of two sizes must be given");
        require(block_shape[1] % 128 == 0,
                "blockShapeY must be a multiple of 128, got " + std::to_string(block_shape[1]));
        require(query.dtype() == DType::float16 || query.dtype() == DType::bfloat16,
                std::string("query must be float16 or bfloat16, got ") + name_of(query.dtype()));
        require(query.dim() == (layout == "TND" ? 3 : 4) && key.dim() == query.dim(),
                "query and key must have the dimensions of qInputLayout " + layout);
        require(query.size(-1) == 64 || query.size(-1) == 128,
                "the head_dim of query must be 64 or 128, got " + std::to_string(query.size(-1)));
        require(shared_heads == key.size(1),
                "numKeyValueHeads must be the number of heads of key, " +
                    std::to_string(key.size(1)) + ", got " + std::to_string(shared_heads));
        queries = blocked_sequences("actualSeqLengths", query, layout, lengths, blocks.size(0));
        keys = blocked_sequences("actualSeqLengthsKv", key, layout, key_lengths, blocks.size(0));
    }

    AttentionInputs inputs_of(std::size_t batch) const {
        const BlockedSequence& own = queries[batch];
        const BlockedSequence& other = keys[batch];
        AttentionInputs in;
        in.query = own.of(query);
        in.key = other.of(key);
        in.value = other.of(value);
        const auto first = static_cast<Int>(batch);
        in.mask =
            masked_out(slice(blocks, 0, first, first + 1), block_shape, own.length, other.length);
        in.scale = scale;
        in.window.mode = 1;
        return in;
    }
};

}  // namespace

namespace {

/// innerPrecise chooses the dtypes that a device computes in, 0 fp32; here it is always fp32.
void check_precision(Int inner_precise, DType dtype) {
    const bool is_known =
        is_ascend950() ? inner_precise == 4
                       : inner_precise == 0 || (inner_precise == 1 && dtype == DType::float16);
    require(is_known, "innerPrecise must be " +
                          std::string(is_ascend950() ? "4 on an Ascend 950" : "0, or 1 for half") +
                          ", got " + std::to_string(inner_precise));
}

}  // namespace

// What is unused cannot change the result: blockSize belongs to blockTable, and the gradient
// computes the results of the forward pass again.
// Results beyond a given length are not written.
ACLNN_CHECKED(aclnnBlockSparseAttention, Tensor query, Tensor key, Tensor value, Tensor blocks,
              REFUSED(Tensor, attenMask), OptionalInts block_shape, OptionalInts actualSeqLengths,
              OptionalInts actualSeqLengthsKv, REFUSED(Tensor, blockTable), String query_layout,
              String key_layout, Int shared_heads, REFUSED(Int, maskType), double scale,
              Int inner_precise, Unused<Int>, REFUSED_UNLESS(2147483647, Int, preTokens),
              REFUSED_UNLESS(2147483647, Int, nextTokens), Int lse_flag, Out out,
              Optional<Out> lse) {
    check_precision(inner_precise, query.dtype());
    const BlockSparseAttention operands(query, key, value, blocks, block_shape, actualSeqLengths,
                                        actualSeqLengthsKv, query_layout, key_layout, shared_heads,
                                        scale);
    for (std::size_t i = 0; i < operands.queries.size(); ++i) {
        const AttentionResult result = attention(operands.inputs_of(i));
        assign(operands.queries[i].of(out.tensor), result.output);
        if (lse_flag != 0 && lse.defined()) {
            assign(operands.queries[i].of(lse.tensor), result.max + aten("log", result.sum));
        }
    }
}

ACLNN_CHECKED(aclnnBlockSparseAttentionGrad, Tensor grad, Tensor query, Tensor key, Tensor value,
              Unused<Tensor>, Unused<Tensor>, Tensor blocks, REFUSED(Tensor, attenMask),
              OptionalInts block_shape, OptionalInts actualSeqLengths,
              OptionalInts actualSeqLengthsKv, String query_layout, String key_layout,
              Int shared_heads, REFUSED(Int, maskType), double scale,
              REFUSED_UNLESS(2147483647, Int, preTokens),
              REFUSED_UNLESS(2147483647, Int, nextTokens), Out dq, Out dk, Out dv) {
    const BlockSparseAttention operands(query, key, value, blocks, block_shape, actualSeqLengths,
                                        actualSeqLengthsKv, query_layout, key_layout, shared_heads,
                                        scale);
    for (std::size_t i = 0; i < operands.queries.size(); ++i) {
        const BlockedSequence& own = operands.queries[i];
        const BlockedSequence& other = operands.keys[i];
        const AttentionGradients grads = attention_gradients(operands.inputs_of(i), own.of(grad));
        assign(own.of(dq.tensor), grads.query);
        assign(other.of(dk.tensor), grads.key);
        assign(other.of(dv.tensor), grads.value);
    }
}
