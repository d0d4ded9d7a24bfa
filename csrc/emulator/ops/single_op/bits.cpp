// Signs as bits, and random choices of the elements of a mask.
#include <algorithm>

#include "emulator/ops/attention/packed_mask.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

// x [n] -> [size, n / 8 / size]: 1 where x is not negative; what is missing of a byte is 0.
SINGLE_OP(SignBitsPack) {
    operands.accept_attributes({"size"});
    const Tensor x = operands.input(0);
    const Tensor bits = aten("ge.Scalar", x, Scalar{0.0}).to_float();
    operands.output(0) = pack_mask(bits, operands.output(0).tensor.sizes());
}

// bits -> [size, 8 * n / size]: 1 or -1
SINGLE_OP(SignBitsUnpack) {
    operands.accept_attributes({"size", "dtype"});
    operands.output(0) =
        unpack_mask(operands.input(0), operands.output(0).tensor.sizes()) * 2.0 - 1.0;
}

// x -> up to `count` indices of its true elements, in random order unless all are taken, and which
// of them are valid. A count of 0 takes all.
SINGLE_OP(RandomChoiceWithMask) {
    operands.accept_attributes({"count", "seed", "seed2"});
    const Tensor found = aten("nonzero", operands.input(0));
    const Int wanted = operands.output(0).tensor.size(0);
    const Int taken = std::min(found.size(0), wanted);
    const Seed seed(static_cast<Int>(operands.number("seed")),
                    static_cast<Int>(operands.number("seed2")));
    const Tensor order = found.size(0) <= wanted
                             ? arange(taken)
                             : aten("randperm.generator", found.size(0), seed).narrow(0, taken);
    const IntList padding{0, 0, 0, wanted - taken};
    operands.output(0) =
        aten("constant_pad_nd", aten("index_select", found, Int{0}, order), padding);
    operands.output(1) = aten("lt.Scalar", arange(wanted), Scalar{taken});
}
