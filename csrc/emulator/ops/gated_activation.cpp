// Activations that multiply two halves, and a gradient. All compute in fp32.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

ACLNN(aclnnGeluMul, Tensor x, String approximate, Out out) {
    const TensorList halves = aten_all("chunk", x.to_float(), 2, -1);
    out = aten("gelu", halves[0], approximate.empty() ? "none" : approximate) * halves[1];
}

// The dimensions from `dim` on are one, and those before it are the rows; groupIndex has the number
// of rows of each group, and the rows of no group are not written.
ACLNN(aclnnClippedSwiglu, Tensor x, Optional<Tensor> group_index, Int dim, double alpha,
      double limit, double bias, bool interleaved, Out out) {
    const Int axis = dim < 0 ? dim + x.dim() : dim;
    Int count = 1;
    for (Int i = 0; i < axis; ++i) {
        count *= x.size(i);
    }
    const Int all = count;
    if (group_index.defined()) {
        const IntList sizes = integers_of(group_index);
        count = std::accumulate(sizes.begin(), sizes.end(), Int{0});
        require(count <= all, "groupIndex must add up to at most " + std::to_string(all) +
                                  ", got " + std::to_string(count));
    }
    const Tensor rows = x.to_float().reshape({all, -1}).narrow(0, count);
    const Int width = rows.size(1);
    const TensorList halves = interleaved
                                  ? TensorList{aten("slice.Tensor", rows, 1, Int{0}, width, Int{2}),
                                               aten("slice.Tensor", rows, 1, Int{1}, width, Int{2})}
                                  : aten_all("chunk", rows, 2, 1);
    const Tensor gate = aten("clamp_max", halves[0], limit);
    const Tensor linear = aten("clamp", halves[1], -limit, limit) + bias;
    assign_first_rows({aten("view", out.tensor, IntList{all, width / 2}), out.parameter},
                      gate * aten("sigmoid", gate * alpha) * linear);
}

// Without eps, what lies outside of 0 to 1 has no gradient that is a number.
ACLNN(aclnnLogitGrad, Tensor x, Tensor dy, double eps, Out out) {
    out = aten("logit_backward", dy.to_float(), x.to_float(), eps < 0 ? Value() : Value(eps));
}
