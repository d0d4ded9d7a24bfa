// Parts of a tensor along one dimension. An end beyond the size means the size.
#pragma once

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

inline Tensor slice(const Tensor& x, Int dim, Int begin, Int end, Int step = 1) {
    return aten("slice.Tensor", x, dim, begin, end, step);
}

inline Tensor rows(const Tensor& x, Int begin, Int end) { return slice(x, 0, begin, end); }

/// Parts of the last dimension.
inline Tensor columns(const Tensor& x, Int begin, Int end, Int step = 1) {
    return slice(x, -1, begin, end, step);
}

}  // namespace ascend_emulator
