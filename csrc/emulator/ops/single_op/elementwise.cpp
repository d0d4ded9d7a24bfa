// Elementwise kernels of the single-operator interface.
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

SINGLE_OP_ATEN(Abs, "abs")
SINGLE_OP_ATEN(Add, "add.Tensor")
SINGLE_OP_ATEN(Ceil, "ceil")
SINGLE_OP_ATEN(Cos, "cos")
SINGLE_OP_ATEN(Equal, "eq.Tensor")
SINGLE_OP_ATEN(Erf, "erf")
SINGLE_OP_ATEN(Exp, "exp")
SINGLE_OP_ATEN(Expm1, "expm1")
SINGLE_OP_ATEN(Floor, "floor")
SINGLE_OP_ATEN(Greater, "gt.Tensor")
SINGLE_OP_ATEN(GreaterEqual, "ge.Tensor")
SINGLE_OP_ATEN(Less, "lt.Tensor")
SINGLE_OP_ATEN(LessEqual, "le.Tensor")
SINGLE_OP_ATEN(Log1p, "log1p")
SINGLE_OP_ATEN(LogicalAnd, "logical_and")
SINGLE_OP_ATEN(LogicalNot, "logical_not")
SINGLE_OP_ATEN(LogicalOr, "logical_or")
SINGLE_OP_ATEN(Maximum, "maximum")
SINGLE_OP_ATEN(Minimum, "minimum")
SINGLE_OP_ATEN(Mish, "mish")
SINGLE_OP_ATEN(Mul, "mul.Tensor")
SINGLE_OP_ATEN(Neg, "neg")
SINGLE_OP_ATEN(NotEqual, "ne.Tensor")
SINGLE_OP_ATEN(OnesLike, "ones_like")
SINGLE_OP_ATEN(Pow, "pow.Tensor_Tensor")
SINGLE_OP_ATEN(RealDiv, "div.Tensor")
SINGLE_OP_ATEN(Reciprocal, "reciprocal")
SINGLE_OP_ATEN(Relu, "relu")
SINGLE_OP_ATEN(Rsqrt, "rsqrt")
SINGLE_OP_ATEN(Select, "where.self")
SINGLE_OP_ATEN(Sigmoid, "sigmoid")
SINGLE_OP_ATEN(Sign, "sign")
SINGLE_OP_ATEN(Sin, "sin")
SINGLE_OP_ATEN(Sqrt, "sqrt")
SINGLE_OP_ATEN(Square, "square")
SINGLE_OP_ATEN(Sub, "sub.Tensor")
SINGLE_OP_ATEN(Tanh, "tanh")
SINGLE_OP_ATEN(ZerosLike, "zeros_like")

namespace {

/// x * sigmoid(scale * x).
struct Swish {
    Tensor x;
    double scale;
    Tensor gate() const { return aten("sigmoid", x * scale); }
    Tensor gradient(const Tensor& grad) const {
        const Tensor sigmoid = gate();
        return grad * (sigmoid + x * sigmoid * (-sigmoid + 1.0) * scale);
    }
};

}  // namespace

SINGLE_OP(Swish) {
    operands.accept_attributes({"scale"});
    const Swish swish{operands.input(0).to_float(), operands.number("scale", 1)};
    operands.output(0) = swish.x * swish.gate();
}

// grad, x, y -> grad of x. y is computed again.
SINGLE_OP(SwishGrad) {
    operands.accept_attributes({"scale"});
    const Swish swish{operands.input(1).to_float(), operands.number("scale", 1)};
    operands.output(0) = swish.gradient(operands.input(0).to_float());
}

SINGLE_OP(MishGrad) {
    operands.accept_attributes({});
    operands.output(0) =
        aten("mish_backward", operands.input(0).to_float(), operands.input(1).to_float());
}

// The dtype is the output's.
SINGLE_OP(Cast) {
    operands.accept_attributes({"dst_type"});
    operands.output(0) = operands.input(0);
}

// x1 + alpha * x2
SINGLE_OP(AxpyV2) {
    operands.accept_attributes({});
    operands.output(0) = operands.input(0) + operands.input(1) * operands.input(2);
}

// Nothing -> memory for flags of overflow. The functions that read and clear them are absent.
SINGLE_OP(NPUAllocFloatStatus) {
    operands.accept_attributes({});
    const Out flags = operands.output(0);
    flags = full(flags.tensor.sizes(), Scalar{0.0}, flags.tensor.dtype());
}
