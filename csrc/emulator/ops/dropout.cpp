// Dropout with packed masks. Its random numbers are not a device's.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/attention/packed_mask.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/seed.h"

using namespace ascend_emulator;

namespace {

/// 1 for what is kept, with probability 1 - p.
Tensor bits_kept(Int count, double p, const Seed& seed) {
    const Tensor keep = full({count}, Scalar{0.0}, DType::float32);
    aten("bernoulli_.float", keep, 1 - p, seed);
    return keep;
}

}  // namespace

ACLNN(aclnnDropoutGenMask, Ints shape, double p, Int seed, Int offset, Out mask) {
    Int count = 1;
    for (const Int size : shape) {
        count *= size;
    }
    mask = pack_mask(bits_kept(count, p, Seed(seed, offset)), mask.tensor.sizes());
}

namespace {

/// With p of 0 or 1, the mask is not written.
void drop_out(const Tensor& x, double p, const Seed& seed, const Out& out, const Out& mask) {
    if (p <= 0 || p >= 1) {
        out = p <= 0 ? x : aten("zeros_like", x);
        return;
    }
    const Tensor keep = bits_kept(x.numel(), p, seed);
    mask = pack_mask(keep, mask.tensor.sizes());
    out = x.to_float() * keep.reshape(x.sizes()) / (1 - p);
}

}  // namespace

ACLNN(aclnnDropoutV3, Tensor x, REFUSED(Tensor, noiseShape), double p, Int seed, Int offset,
      Out out, Out mask) {
    drop_out(x, p, Seed(seed, offset), out, mask);
}
// A graph keeps the seed and the offset in device memory.
ACLNN(aclnnDropoutV3Tensor, Tensor x, REFUSED(Tensor, noiseShape), double p, Tensor seed,
      Tensor offset, Int more, Out out, Out mask) {
    drop_out(x, p, seed_in(seed, offset, more), out, mask);
}
ACLNN(aclnnDropoutV3Grad, Tensor grad, Tensor mask, double scale, Out out) {
    out = grad.to_float() * unpack_mask(mask, grad.sizes()) * scale;
}
