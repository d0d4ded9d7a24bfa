// Attention for serving as the emulated device computes it: query by query, key by key, in double.
#pragma once

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

/// The arguments that FusedInferAttentionScore, PromptFlashAttention and IncreFlashAttention share.
/// Undefined tensors and empty arrays are arguments that the caller did not pass.
struct ServingAttention {
    Tensor query;
    Tensor key;
    Tensor value;
    Tensor query_rope;  // a part of each head that is rotated, scored with key_rope
    Tensor key_rope;
    Tensor bias;         // added to the scaled scores
    Tensor mask;         // 1 is masked out
    Tensor block_table;  // makes key and value paged
    Ints query_lengths;  // cumulative in layout TND
    /// Whether the lengths of queries with one token have no effect, except in layout TND.
    bool needs_no_length_of_one = false;
    Ints key_lengths;
    Int heads = 0;
    Int key_heads = 0;
    double scale = 1;
    String layout;
    Int sparse_mode = 0;
    Int before = 0;  // the window of sparse modes 0, with a mask, and 4: keys before and after the
    Int after = 0;   // query's own position
    Int block_size = 0;
    bool corrects_masked_rows = false;  // to 0; otherwise a row without any key is an error here

    /// Check the arguments, more strictly than a device, and write both results.
    void run(const Out& out, const Out& lse) const;
};

}  // namespace ascend_emulator
