// Dropout masks as CANN has them: one bit an element, the lowest first.
#pragma once

#include "emulator/aten/value.h"

namespace ascend_emulator {

/// `keep` is fp32, 0 or 1; `sizes` are those of the bytes.
Tensor pack_mask(const Tensor& keep, const IntList& sizes);

/// As fp32 of the given sizes.
Tensor unpack_mask(const Tensor& mask, const IntList& sizes);

}  // namespace ascend_emulator
