// Distances between rows, of the single-operator interface. The caller has broadcast the rows.
#include <limits>

#include "emulator/ops/distance.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

double exponent(const SingleOpOperands& operands) {
    operands.accept_attributes({"p"});
    return norm_exponent(operands.number("p", 2));
}

/// The derivative of the norm with respect to the difference, where the norm is not 0.
Tensor slope(const Tensor& difference, const Tensor& norm, double p) {
    const Tensor sign = aten("sign", difference);
    if (p == 0) {
        return sign * 0.0;
    }
    const Tensor size = aten("abs", difference);
    if (p == std::numeric_limits<double>::infinity()) {
        return sign * aten("eq.Tensor", size, norm).to(difference.dtype());
    }
    const Tensor grown = aten("pow.Tensor_Scalar", size / norm, p - 1);
    return sign * aten("masked_fill.Scalar", grown, aten("eq.Scalar", size, 0), 0);
}

}  // namespace

// x1, x2: [..., columns] -> the norm of x1 - x2 over the columns
SINGLE_OP(Cdist) {
    const double p = exponent(operands);
    const Tensor difference = operands.input(0).to_float() - operands.input(1).to_float();
    operands.output(0) = aten("norm.ScalarOpt_dim", difference, p, IntList{-1}, false);
}

// gradient of the distances, x1, x2, distances: [..., rows of x1, rows of x2, columns] -> gradient
// of x1 [..., rows of x1, columns]
SINGLE_OP(CdistGrad) {
    const double p = exponent(operands);
    const Tensor grad = operands.input(0).to_float();
    const Tensor norm = operands.input(3).to_float();
    const Tensor grads =
        grad * slope(operands.input(1).to_float() - operands.input(2).to_float(), norm, p);
    operands.output(0) = aten("masked_fill.Scalar", grads, aten("eq.Scalar", norm, 0), 0).sum({-2});
}
