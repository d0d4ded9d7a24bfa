// What native sparse attention for training and for serving share.
#pragma once

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

/// Blocks of keys that can be selected.
struct NsaBlocks {
    Int per_block;  // strides of the compressed keys per block
    Int per_key;    // and per compressed key
    Int count;
};

/// How much each block matters: sums of the probabilities p of compressed keys, whose last
/// dimension becomes that of blocks. CANN counts the blocks of its formula from 1 and the keys from
/// 0, so that block j (from 0) has those of key per_block * (j + 1) and before it.
Tensor block_importance(const Tensor& p, const NsaBlocks& blocks);

}  // namespace ascend_emulator
