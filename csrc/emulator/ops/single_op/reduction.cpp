// Reductions of the single-operator interface.
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

// x, axes -> y
void reduce(const SingleOpOperands& operands, const char* schema) {
    operands.accept_attributes({"keep_dims", "noop_with_empty_axes"});
    operands.output(0) = aten(schema, operands.input(0).to_float(), operands.input_ints(1),
                              operands.flag("keep_dims"));
}

/// All dimensions but the channels.
IntList without_channels(const Tensor& x) {
    IntList dims;
    for (Int dim = 0; dim < x.dim(); ++dim) {
        if (dim != 1) {
            dims.push_back(dim);
        }
    }
    return dims;
}

}  // namespace

SINGLE_OP(ReduceMean) { reduce(operands, "mean.dim"); }
SINGLE_OP(ReduceSum) { reduce(operands, "sum.dim_IntList"); }

// x, mean -> standard deviation, or 1 / sqrt(variance + epsilon) if `invert`
SINGLE_OP(ReduceStdWithMean) {
    operands.accept_attributes({"dim", "unbiased", "keepdim", "invert", "epsilon"});
    const Tensor x = operands.input(0).to_float();
    const Tensor centered = x - operands.input(1).to_float();
    const IntList dims = operands.ints("dim");
    double count = 1;
    for (const Int dim : dims) {
        count *= static_cast<double>(x.size(dim));
    }
    count -= operands.flag("unbiased", true) ? 1 : 0;
    const Tensor variance = (centered * centered).sum(dims, operands.flag("keepdim")) / count;
    operands.output(0) = operands.flag("invert")
                             ? aten("rsqrt", variance + operands.number("epsilon", 0.001))
                             : aten("sqrt", variance);
}

// x -> sum and sum of squares per channel
SINGLE_OP(BNTrainingReduce) {
    operands.accept_attributes({});
    const Tensor x = operands.input(0).to_float();
    const IntList dims = without_channels(x);
    operands.output(0) = x.sum(dims);
    operands.output(1) = (x * x).sum(dims);
}
