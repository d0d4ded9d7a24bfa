// Softmax with a scale, a mask or a bias, in fp32.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace {

Tensor softmax_of_rows(const Tensor& x) { return aten("softmax.int", x, Int{-1}); }

constexpr double masked_value = -10000.0;  // a row that is masked altogether is uniform

}  // namespace

ACLNN(aclnnScaledMaskedSoftmax, Tensor x, Tensor mask, double scale, REFUSED(bool, fixTriuMask),
      Out y) {
    y = softmax_of_rows(aten("masked_fill.Scalar", x.to_float() * scale, mask, masked_value));
}
ACLNN(aclnnScaledMaskedSoftmaxBackward, Tensor grad, Tensor y, Tensor mask, double scale,
      REFUSED(bool, fixTriuMask), Out out) {
    const Tensor wide = y.to_float();
    const Tensor products = grad.to_float() * wide;
    const Tensor grads = products - products.sum({-1}, true) * wide;
    out = aten("masked_fill.Scalar", grads * scale, mask, 0);
}

// x is [B * W, N, S1, S2] or [B, W, N, S1, S2], the mask has the windows W, and the bias the heads
// N.
ACLNN(aclnnMaskedSoftmaxWithRelPosBias, Tensor x, Optional<Tensor> attenMask,
      Tensor relativePosBias, double scaleValue, Unused<Int> inner_precision_mode, Out out) {
    (void)inner_precision_mode;  // a hint
    const Int rows = x.size(-2);
    const Int columns = x.size(-1);
    const Int heads = x.size(-3);
    const Int windows = attenMask.defined() ? attenMask.numel() / (rows * columns) : 1;
    Tensor scores = x.to_float().reshape({-1, windows, heads, rows, columns}) * scaleValue;
    if (attenMask.defined()) {
        scores = scores + attenMask.to_float().reshape({1, windows, 1, rows, columns});
    }
    scores = scores + relativePosBias.to_float().reshape({1, 1, heads, rows, columns});
    out = softmax_of_rows(scores).reshape(x.sizes());
}
