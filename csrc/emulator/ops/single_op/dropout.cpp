// Dropout of the single-operator interface. Masks have one bit or one byte per element; the random
// numbers repeat with the seed, but they are not a device's.
#include "emulator/ops/attention/packed_mask.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

/// 1 with the given probability, else 0.
Tensor kept(Int count, double probability, const Seed& seed) {
    const Tensor keep = full({count}, Scalar{0.0}, DType::float32);
    aten("bernoulli_.float", keep, probability, seed);
    return keep;
}

Int product_of(const IntList& sizes) {
    Int count = 1;
    for (const Int size : sizes) {
        count *= size;
    }
    return count;
}

Tensor dropped(const Tensor& x, const Tensor& keep, double probability) {
    return probability <= 0 ? x * 0.0 : x * keep / probability;
}

Tensor keep_of_bytes(const Tensor& mask, const Tensor& like) {
    return mask.reshape({-1}).narrow(0, like.numel()).reshape(like.sizes()).to_float();
}

}  // namespace

// sizes, keep probability -> one byte per element, padded with 0
SINGLE_OP(DropOutGenMaskV3) {
    operands.accept_attributes({"seed", "seed2"});
    const Int count = product_of(operands.input_ints(0));
    const Seed seed(static_cast<Int>(operands.number("seed")),
                    static_cast<Int>(operands.number("seed2")));
    const Tensor keep = kept(count, operands.input(1).item(), seed);
    const IntList padding{0, operands.output(0).tensor.numel() - count};
    operands.output(0) =
        aten("constant_pad_nd", keep, padding).reshape(operands.output(0).tensor.sizes());
}

// x, one byte per element, keep probability -> y
SINGLE_OP(DropOutDoMaskV3) {
    operands.accept_attributes({});
    const Tensor x = operands.input(0).to_float();
    operands.output(0) = dropped(x, keep_of_bytes(operands.input(1), x), operands.input(2).item());
}

// sizes, keep probability, seed, seed, offsets -> one bit per element
SINGLE_OP(StatelessDropOutGenMask) {
    operands.accept_attributes({});
    const IntList offsets = operands.input_ints(4);
    const Tensor keep = kept(product_of(operands.input_ints(0)), operands.input(1).item(),
                             Seed(operands.input_ints(2)[0], offsets.empty() ? 0 : offsets.back()));
    operands.output(0) = pack_mask(keep, operands.output(0).tensor.sizes());
}

// x, one bit per element, keep probability -> y
SINGLE_OP(DropOutDoMask) {
    operands.accept_attributes({});
    const Tensor x = operands.input(0).to_float();
    operands.output(0) =
        dropped(x, unpack_mask(operands.input(1), x.sizes()), operands.input(2).item());
}

// x1, x2, one byte per element -> softmax of x1 + alpha * x2, its dropout
SINGLE_OP(AxpyWithSoftmaxAndDropOutDoMask) {
    operands.accept_attributes({"alpha", "input_keep_prob", "axis"});
    const Tensor x =
        operands.input(0).to_float() + operands.input(1).to_float() * operands.number("alpha", 1);
    const Tensor softmax = aten("softmax.int", x, operands.ints("axis").at(0));
    operands.output(0) = softmax;
    operands.output(1) = dropped(softmax, keep_of_bytes(operands.input(2), softmax),
                                 operands.number("input_keep_prob", 1));
}

// grad, one byte per element, softmax -> grad of x2
SINGLE_OP(DropoutWithMulsAndSoftmaxGrad) {
    operands.accept_attributes({"alpha", "input_keep_prob", "axes"});
    const Tensor softmax = operands.input(2).to_float();
    const Tensor grad =
        dropped(operands.input(0).to_float(), keep_of_bytes(operands.input(1), softmax),
                operands.number("input_keep_prob", 1));
    operands.output(0) =
        aten("_softmax_backward_data", grad, softmax, operands.ints("axes").at(0), DType::float32) *
        operands.number("alpha", 1);
}
