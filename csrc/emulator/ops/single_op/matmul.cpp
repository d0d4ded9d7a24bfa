// Matrix products of the single-operator interface.
#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

Tensor factor(const SingleOpOperands& operands, std::size_t index, const char* transposed) {
    const Tensor x = operands.input(index);
    const Tensor wide = x.dtype() == DType::int8 ? x.to(DType::int32) : x.to_float();
    return operands.flag(transposed) ? wide.transpose(-2, -1) : wide;
}

void matmul(const SingleOpOperands& operands, const char* transposed1, const char* transposed2) {
    operands.accept_attributes({transposed1, transposed2, "offset_x"});
    require(operands.number("offset_x") == 0, "offset_x must be 0; others are not emulated");
    const Tensor product =
        aten("matmul", factor(operands, 0, transposed1), factor(operands, 1, transposed2));
    const Tensor bias = operands.input(2);
    operands.output(0) = bias.defined() ? product + bias.to(product.dtype()) : product;
}

}  // namespace

SINGLE_OP(MatMul) { matmul(operands, "transpose_x1", "transpose_x2"); }
SINGLE_OP(MatMulV2) { matmul(operands, "transpose_x1", "transpose_x2"); }
SINGLE_OP(BatchMatMul) { matmul(operands, "adj_x1", "adj_x2"); }
SINGLE_OP(BatchMatMulV2) { matmul(operands, "adj_x1", "adj_x2"); }
