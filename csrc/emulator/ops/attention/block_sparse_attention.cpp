// Attention over blocks of scores that a mask chooses, and its gradient.
#include "emulator/aclnn/operation.h"

using namespace ascend_emulator;

#include <stdexcept>

#include "emulator/ops/attention/flash_attention.h"

namespace {

constexpr Int kColumns = 128;

void refuse(const std::string& what) { throw std::invalid_argument(what); }

/// The blocks' mask, which is 1 where a block counts, as one a score, which is 1 where it does not.
Tensor masked_out(const Tensor& blocks, const IntList& block_shape, Int queries, Int keys) {
    Tensor seen = blocks.to(DType::boolean);
    const Int lengths[] = {queries, keys};
    for (const Int i : {0, 1}) {
        const Int block = block_shape[static_cast<std::size_t>(i)];
        const Int dimension = 2 + i;
        if (seen.size(dimension) != (lengths[i] + block - 1) / block) {
            refuse("blockSparseMask has " + std::to_string(seen.size(dimension)) + " blocks of " +
                   std::to_string(block) + " for a sequence of " + std::to_string(lengths[i]));
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
        throw std::runtime_error("the layouts " + query_layout + " and " + key_layout +
                                 " are not emulated");
    }
    const IntList shape = block_shape.values.value_or(IntList{});
    if (!blocks.defined() || shape.size() != 2) {
        refuse("blockSparseMask or blockShape is not given");
    }
    if (shape[1] % kColumns != 0) {
        refuse("blockShapeY is no multiple of 128");
    }
    if (query.dtype() != DType::float16 && query.dtype() != DType::bfloat16) {
        refuse(std::string("query is ") + name_of(query.dtype()) + ", not float16 or bfloat16");
    }
    if (query.size(3) != 64 && query.size(3) != 128) {
        refuse("query has " + std::to_string(query.size(3)) + " elements a head, not 64 or 128");
    }
    if (shared_heads != key.size(1)) {
        refuse("numKeyValueHeads is not the number of key's heads");
    }
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

ACLNN(aclnnBlockSparseAttention, Tensor query, Tensor key, Tensor value, Tensor blocks,
      Tensor atten_mask, OptionalInts block_shape, Unused<Ints>, Unused<Ints>, Tensor block_table,
      String query_layout, String key_layout, Int shared_heads, Unused<Int>, double scale,
      Unused<Int>, Unused<Int>, Unused<Int>, Unused<Int>, Int lse_flag, Out out, Out lse) {
    if (atten_mask.defined() || block_table.defined()) {
        refuse("attenMask or blockTable is given");
    }
    const AttentionResult result = attention(inputs_of(
        query, key, value, blocks, block_shape, query_layout, key_layout, shared_heads, scale));
    out = result.output;
    if (lse_flag != 0) {
        lse = result.max + aten("log", result.sum);
    }
}

ACLNN(aclnnBlockSparseAttentionGrad, Tensor grad, Tensor query, Tensor key, Tensor value,
      Unused<Tensor>, Unused<Tensor>, Tensor blocks, Tensor atten_mask, OptionalInts block_shape,
      Unused<Ints>, Unused<Ints>, String query_layout, String key_layout, Int shared_heads,
      Unused<Int>, double scale, Unused<Int>, Unused<Int>, Out dq, Out dk, Out dv) {
    if (atten_mask.defined()) {
        refuse("attenMask is given");
    }
    const AttentionGradients grads =
        attention_gradients(inputs_of(query, key, value, blocks, block_shape, query_layout,
                                      key_layout, shared_heads, scale),
                            grad);
    dq = grads.query;
    dk = grads.key;
    dv = grads.value;
}
