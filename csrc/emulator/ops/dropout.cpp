// Dropout with packed masks. Its random numbers are not a device's.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/attention/packed_mask.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace {

/// 1 for what is kept, with probability 1 - p.
Tensor kept(Int count, double p, Int seed, Int offset) {
    const Tensor keep = full({count}, Scalar{0.0}, DType::float32);
    aten("bernoulli_.float", keep, 1 - p, Seed(seed, offset));
    return keep;
}

}  // namespace

ACLNN(aclnnDropoutGenMask, Ints shape, double p, Int seed, Int offset, Out mask) {
    Int count = 1;
    for (const Int size : shape) {
        count *= size;
    }
    mask = pack_mask(kept(count, p, seed, offset), mask.tensor.sizes());
}

// With p of 0 or 1, the mask is not written.
ACLNN(aclnnDropoutV3, Tensor x, REFUSED(Tensor, noiseShape), double p, Int seed, Int offset,
      Out out, Out mask) {
    if (p <= 0 || p >= 1) {
        out = p <= 0 ? x : aten("zeros_like", x);
        return;
    }
    const Tensor keep = kept(x.numel(), p, seed, offset);
    mask = pack_mask(keep, mask.tensor.sizes());
    out = x.to_float() * keep.reshape(x.sizes()) / (1 - p);
}
ACLNN(aclnnDropoutV3Grad, Tensor grad, Tensor mask, double scale, Out out) {
    out = grad.to_float() * unpack_mask(mask, grad.sizes()) * scale;
}
