// Matrix products fused with a collective. What is added over ranks is added in fp32, in the order
// of ranks, and rounded once.
#include "emulator/ops/ranks.h"

using namespace ascend_emulator;

namespace {

Tensor product(const Tensor& x1, const Tensor& x2, const Tensor& bias) {
    const Tensor found = aten("matmul", x1.to_float(), x2.to_float());
    return bias.defined() ? found + bias.to_float() : found;
}

void check_sum(const String& reduce_op) {
    require(reduce_op == "sum", "reduceOp must be sum, got " + reduce_op);
}

Tensor turned(const Tensor& x, bool transposes) { return transposes ? x.transpose(0, 1) : x; }

/// Sum the parts that all ranks have for this one: x is [size * rows, columns].
Tensor reduce_scatter(const Ranks& ranks, const Tensor& x) {
    require(x.size(0) % ranks.size() == 0,
            "the rows of x1 must be a multiple of the number of ranks, " +
                std::to_string(ranks.size()) + ", got " + std::to_string(x.size(0)));
    return ranks.all_to_all(x.reshape({ranks.size(), -1, x.size(1)})).sum({0});
}

void gather_matmul(const String& group, const Tensor& x1, const Tensor& x2, const Tensor& bias,
                   const Out& output, const Out& gathered) {
    const Tensor all = Ranks(group).all_gather(x1).reshape({-1, x1.size(1)});
    output = product(all, x2, bias);
    gathered = all;
}

}  // namespace

#define MATMUL_OPERANDS Tensor x1, Tensor x2, Optional<Tensor> bias
// How the work is divided, and what does the communication.
#define TURNS Unused<Int>, Unused<Int>
#define SCALES REFUSED(Tensor, x1Scale), REFUSED(Tensor, x2Scale), REFUSED(Tensor, quantScale)

ACLNN_CHECKED(aclnnMatmulAllReduce, MATMUL_OPERANDS, String group, String reduceOp, TURNS,
              Out output) {
    check_sum(reduceOp);
    output = Ranks(group).all_gather(product(x1, x2, bias)).sum({0});
}
ACLNN_CHECKED(aclnnMatmulAllReduceV2, MATMUL_OPERANDS, Optional<Tensor> x3, String group,
              String reduceOp, TURNS, Out output) {
    check_sum(reduceOp);
    const Tensor found = product(x1, x2, bias);
    output = Ranks(group).all_gather(x3.defined() ? found + x3.to_float() : found).sum({0});
}
ACLNN_CHECKED(aclnnMatmulAllReduceV3, MATMUL_OPERANDS, Optional<Tensor> x3, String group,
              String reduceOp, Unused<String>, TURNS, Out output) {
    check_sum(reduceOp);
    const Tensor found = product(x1, x2, bias);
    output = Ranks(group).all_gather(x3.defined() ? found + x3.to_float() : found).sum({0});
}
ACLNN_CHECKED(aclnnMatmulReduceScatter, MATMUL_OPERANDS, String group, String reduceOp, TURNS,
              Out output) {
    check_sum(reduceOp);
    output = reduce_scatter(Ranks(group), product(x1, x2, bias));
}
ACLNN_CHECKED(aclnnMatmulReduceScatterV2, MATMUL_OPERANDS, SCALES, Unused<Int>, String group,
              String reduceOp, TURNS, REFUSED(Int, groupSize), Unused<String>, Out output,
              REFUSED(Out, amaxOut)) {
    check_sum(reduceOp);
    output = reduce_scatter(Ranks(group), product(x1, x2, bias));
}
ACLNN_CHECKED(aclnnAllGatherMatmul, MATMUL_OPERANDS, String group, REFUSED(Int, gatherIndex), TURNS,
              Out output, Optional<Out> gatherOut) {
    gather_matmul(group, x1, x2, bias, output, gatherOut);
}
ACLNN_CHECKED(aclnnAllGatherMatmulV2, MATMUL_OPERANDS, SCALES, Unused<Int>, String group,
              REFUSED(Int, gatherIndex), TURNS, REFUSED(Int, groupSize), Unused<String>, Out output,
              Optional<Out> gatherOut, REFUSED(Out, amaxOut)) {
    gather_matmul(group, x1, x2, bias, output, gatherOut);
}

ACLNN_CHECKED(aclnnMatmulAlltoAll, MATMUL_OPERANDS, OptionalInts alltoAllAxes, String group,
              REFUSED(bool, transposeX1), bool transposeX2, Out output) {
    check_exchange_axes(alltoAllAxes, {-1, -2});
    output = Ranks(group).columns_to_ranks(product(x1, turned(x2, transposeX2), bias));
}
ACLNN_CHECKED(aclnnMatmulAlltoAllV2, MATMUL_OPERANDS, OptionalInts alltoAllAxes, String group,
              Unused<String>, REFUSED(bool, transposeX1), bool transposeX2, Out output) {
    check_exchange_axes(alltoAllAxes, {-1, -2});
    output = Ranks(group).columns_to_ranks(product(x1, turned(x2, transposeX2), bias));
}
ACLNN_CHECKED(aclnnAlltoAllMatmul, MATMUL_OPERANDS, OptionalInts alltoAllAxes, String group,
              REFUSED(bool, transposeX1), bool transposeX2, Out output, Optional<Out> alltoAllOut) {
    check_exchange_axes(alltoAllAxes, {-2, -1});
    const Tensor found = Ranks(group).ranks_to_columns(x1);
    output = product(found, turned(x2, transposeX2), bias);
    alltoAllOut = found;
}
ACLNN_CHECKED(aclnnAlltoAllMatmulV2, MATMUL_OPERANDS, OptionalInts alltoAllAxes, String group,
              Unused<String>, REFUSED(bool, transposeX1), bool transposeX2, Out output,
              Optional<Out> alltoAllOut) {
    check_exchange_axes(alltoAllAxes, {-2, -1});
    const Tensor found = Ranks(group).ranks_to_columns(x1);
    output = product(found, turned(x2, transposeX2), bias);
    alltoAllOut = found;
}
