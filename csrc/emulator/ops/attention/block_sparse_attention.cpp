// Attention over blocks of scores that a mask chooses, and its gradient.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/attention/flash_attention.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace {

/// One value per score, 1 if it is masked out, of `blocks`, which is 1 for a block that counts.
Tensor masked_out(const Tensor& blocks, const IntList& block_shape, Int queries, Int keys) {
    Tensor seen = blocks.to(DType::boolean);
    const Int lengths[] = {queries, keys};
    for (const Int i : {0, 1}) {
        const Int block = block_shape[static_cast<std::size_t>(i)];
        const Int dimension = 2 + i;
        if (seen.size(dimension) != (lengths[i] + block - 1) / block) {
            refuse("blockSparseMask must cover a sequence of " + std::to_string(lengths[i]) +
                   " with blocks of " + std::to_string(block) + ", got " +
                   std::to_string(seen.size(dimension)) + " blocks");
        }
        seen = aten("repeat_interleave.self_int", seen, block, dimension)
                   .narrow(dimension, lengths[i]);
    }
    return aten("logical_not", seen);
}

AttentionInputs inputs_of(const Tensor& query, const Tensor& key, const Tensor& value,
                          const Tensor& blocks, const OptionalInts& block_shape,
                          const std::string& query_layout, const std::string& key_layout,
                          Int shared_heads, double scale) {
    if (query_layout != "BNSD" || key_layout != "BNSD") {
        not_emulated("qInputLayout " + query_layout + " with kvInputLayout " + key_layout);
    }
    const IntList shape = block_shape.values.value_or(IntList{});
    require(blocks.defined() && shape.size() == 2,
            "blockSparseMask and a blockShape of two sizes must be given");
    require(shape[1] % 128 == 0,
            "blockShapeY must be a multiple of 128, got " + std::to_string(shape[1]));
    require(query.dtype() == DType::float16 || query.dtype() == DType::bfloat16,
            std::string("query must be float16 or bfloat16, got ") + name_of(query.dtype()));
    require(query.size(3) == 64 || query.size(3) == 128,
            "the head_dim of query must be 64 or 128, got " + std::to_string(query.size(3)));
    require(shared_heads == key.size(1), "numKeyValueHeads must be the number of heads of key, " +
                                             std::to_string(key.size(1)) + ", got " +
                                             std::to_string(shared_heads));
    AttentionInputs in;
    in.query = query;
    in.key = key;
    in.value = value;
    in.mask = masked_out(blocks, shape, query.size(2), key.size(2));
    in.scale = scale;
    in.window.mode = 1;
    return in;
}

}  // namespace

// What is unused cannot change the result: innerPrecise is a hint, blockSize belongs to blockTable,
// and the gradient computes the results of the forward pass again.
ACLNN_CHECKED(aclnnBlockSparseAttention, Tensor query, Tensor key, Tensor value, Tensor blocks,
              REFUSED(Tensor, attenMask), OptionalInts block_shape, REFUSED(Ints, actualSeqLengths),
              REFUSED(Ints, actualSeqLengthsKv), REFUSED(Tensor, blockTable), String query_layout,
              String key_layout, Int shared_heads, REFUSED(Int, maskType), double scale,
              Unused<Int>, Unused<Int>, REFUSED_UNLESS(2147483647, Int, preTokens),
              REFUSED_UNLESS(2147483647, Int, nextTokens), Int lse_flag, Out out,
              Optional<Out> lse) {
    const AttentionResult result = attention(inputs_of(
        query, key, value, blocks, block_shape, query_layout, key_layout, shared_heads, scale));
    out = result.output;
    if (lse_flag != 0) {
        lse = result.max + aten("log", result.sum);
    }
}

ACLNN_CHECKED(aclnnBlockSparseAttentionGrad, Tensor grad, Tensor query, Tensor key, Tensor value,
              Unused<Tensor>, Unused<Tensor>, Tensor blocks, REFUSED(Tensor, attenMask),
              OptionalInts block_shape, REFUSED(Ints, actualSeqLengths),
              REFUSED(Ints, actualSeqLengthsKv), String query_layout, String key_layout,
              Int shared_heads, REFUSED(Int, maskType), double scale,
              REFUSED_UNLESS(2147483647, Int, preTokens),
              REFUSED_UNLESS(2147483647, Int, nextTokens), Out dq, Out dk, Out dv) {
    const AttentionGradients grads =
        attention_gradients(inputs_of(query, key, value, blocks, block_shape, query_layout,
                                      key_layout, shared_heads, scale),
                            grad);
    dq = grads.query;
    dk = grads.key;
    dv = grads.value;
}
