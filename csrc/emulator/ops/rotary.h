// Rotary position embedding of two halves, in fp32.
#pragma once

#include "emulator/aten/value.h"

namespace ascend_emulator {

inline Tensor rotated_half(const Tensor& x) {
    const TensorList halves = aten_all("chunk", x, 2, -1);
    return aten("cat", TensorList{-halves[1], halves[0]}, -1);
}

inline Tensor embedded(const Tensor& x, const Tensor& cos, const Tensor& sin) {
    return x * cos.to_float() + rotated_half(x) * sin.to_float();
}

}  // namespace ascend_emulator
