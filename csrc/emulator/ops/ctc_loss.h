// What the forms of the CTC loss share.
#pragma once

#include <algorithm>

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

/// log_alpha without what a device adds to its last dimension, to round it up to a multiple of 8.
inline Tensor used_alpha(const Tensor& log_alpha, const IntList& target_lengths) {
    const Int longest = target_lengths.empty()
                            ? 0
                            : *std::max_element(target_lengths.begin(), target_lengths.end());
    return log_alpha.narrow(2, 2 * longest + 1);
}

}  // namespace ascend_emulator
