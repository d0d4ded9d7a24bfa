// Dropout masks in CANN's format: one bit per element, the lowest bit first.
#pragma once

#include "emulator/aten/value.h"

namespace ascend_emulator {

/// Pack `keep`, which holds 0 or 1 in fp32, into bytes of the given sizes.
Tensor pack_mask(const Tensor& keep, const IntList& sizes);

/// Unpack a mask into fp32 of the given sizes.
Tensor unpack_mask(const Tensor& mask, const IntList& sizes);

}  // namespace ascend_emulator
