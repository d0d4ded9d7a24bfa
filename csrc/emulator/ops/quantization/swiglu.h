// SwiGLU as the functions that quantize its result compute it.
#pragma once

#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

namespace ascend_emulator {

//// How the two halves are told apart, and the variants for GPT-OSS and Step 3.5.
struct SwiGlu {
    bool activates_left;
    Int dim = -1;
    Int mode = 0;
    double limit = 7.0;
    double alpha = 1.702;
    double bias = 1.0;

    Tensor operator()(const Tensor& x) const {
        require(mode >= 0 && mode <= 3, "swigluMode must be 0 to 3, got " + std::to_string(mode));
        const TensorList halves = split(x);
        const Tensor& gate = halves[activates_left ? 0 : 1];
        const Tensor& linear = halves[activates_left ? 1 : 0];
        if (mode == 0) {
            return aten("silu", gate) * linear;
        }
        const Tensor clamped = aten("clamp", linear, -limit, limit);
        if (mode == 3) {
            return aten("clamp_max", aten("silu", gate), limit) * clamped;
        }
        const Tensor top = aten("clamp_max", gate, limit);
        return top * aten("sigmoid", top * alpha) * (clamped + bias);
    }

    TensorList split(const Tensor& x) const {
        if (mode != 1) {
            return aten_all("chunk", x, 2, dim);
        }
        const Int end = x.size(dim);
        return {aten("slice.Tensor", x, dim, Int{0}, end, Int{2}),
                aten("slice.Tensor", x, dim, Int{1}, end, Int{2})};
    }
};

}  // namespace ascend_emulator
