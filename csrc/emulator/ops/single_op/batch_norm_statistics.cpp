// Statistics of a batch norm that several devices share.
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

// x, counts, sums of the counts: [n, C] -> mean over `axes`, weighted by the counts
SINGLE_OP(ReduceMeanWithCount) {
    operands.accept_attributes({"axes", "keep_dims"});
    const Tensor weighted =
        operands.input(0).to_float() * operands.input(1).to_float() / operands.input(2).to_float();
    operands.output(0) = weighted.sum(operands.ints("axes"), operands.flag("keep_dims"));
}

// means, rstds, counts, mean of all: [n, C], sum of the counts, running variance: [1, C] -> rstd of
// all, running variance. The running variance is of a sample: it divides by the count less 1.
SINGLE_OP(SyncBatchNormGatherStatsWithCounts) {
    operands.accept_attributes({"momentum", "epsilon"});
    const double momentum = operands.number("momentum", 0.1);
    const double epsilon = operands.number("epsilon", 0.001);
    const Tensor rstds = operands.input(1).to_float();
    const Tensor apart = operands.input(0).to_float() - operands.input(3).to_float();
    const Tensor variances = aten("reciprocal", rstds * rstds) - epsilon;
    const Tensor squares =
        ((variances + apart * apart) * operands.input(2).to_float()).sum({0}, true);
    const Tensor count = operands.input(4).to_float();
    const Tensor running = operands.input(5).to_float();
    operands.output(0) = aten("rsqrt", squares / count + epsilon);
    operands.output(1) = running * (1 - momentum) + squares / (count - 1.0) * momentum;
}

// mean, running mean -> running mean
SINGLE_OP(SyncBNTrainingUpdate) {
    operands.accept_attributes({"momentum"});
    const double momentum = operands.number("momentum", 0.1);
    operands.output(0) =
        operands.input(1).to_float() * (1 - momentum) + operands.input(0).to_float() * momentum;
}
