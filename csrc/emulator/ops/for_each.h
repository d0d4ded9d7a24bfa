// What multi-tensor operators share.
#pragma once

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

/// Assign function(i) to each out[i].
template <class Function>
void for_each(const Outs& outs, Function function) {
    for (std::size_t i = 0; i < outs.tensors.size(); ++i) {
        assign(outs.tensors[i], function(i));
    }
}

}  // namespace ascend_emulator
