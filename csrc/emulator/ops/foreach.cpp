// Multi-tensor operators.
#include "emulator/ops/checks.h"
#include "emulator/ops/for_each.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnForeachAbs,        "_foreach_abs",        Tensors, Outs)
ATEN(aclnnForeachAcos,       "_foreach_acos",       Tensors, Outs)
ATEN(aclnnForeachAsin,       "_foreach_asin",       Tensors, Outs)
ATEN(aclnnForeachAtan,       "_foreach_atan",       Tensors, Outs)
ATEN(aclnnForeachCos,        "_foreach_cos",        Tensors, Outs)
ATEN(aclnnForeachCosh,       "_foreach_cosh",       Tensors, Outs)
ATEN(aclnnForeachErf,        "_foreach_erf",        Tensors, Outs)
ATEN(aclnnForeachErfc,       "_foreach_erfc",       Tensors, Outs)
ATEN(aclnnForeachExp,        "_foreach_exp",        Tensors, Outs)
ATEN(aclnnForeachExpm1,      "_foreach_expm1",      Tensors, Outs)
ATEN(aclnnForeachLog,        "_foreach_log",        Tensors, Outs)
ATEN(aclnnForeachLog10,      "_foreach_log10",      Tensors, Outs)
ATEN(aclnnForeachLog1p,      "_foreach_log1p",      Tensors, Outs)
ATEN(aclnnForeachLog2,       "_foreach_log2",       Tensors, Outs)
ATEN(aclnnForeachNeg,        "_foreach_neg",        Tensors, Outs)
ATEN(aclnnForeachReciprocal, "_foreach_reciprocal", Tensors, Outs)
ATEN(aclnnForeachSigmoid,    "_foreach_sigmoid",    Tensors, Outs)
ATEN(aclnnForeachSign,       "_foreach_sign",       Tensors, Outs)
ATEN(aclnnForeachSin,        "_foreach_sin",        Tensors, Outs)
ATEN(aclnnForeachSinh,       "_foreach_sinh",       Tensors, Outs)
ATEN(aclnnForeachSqrt, "_foreach_sqrt", Tensors, Outs)
ATEN(aclnnForeachTan,        "_foreach_tan",        Tensors, Outs)
ATEN(aclnnForeachTanh,       "_foreach_tanh",       Tensors, Outs)
// clang-format on

#define FOREACH_POWER(NAME, TYPE, SCHEMA, VALUE)                                 \
    ACLNN(NAME, Tensors x, TYPE exponent, Outs out) {                            \
        for_each(out, [&](std::size_t i) { return aten(SCHEMA, x[i], VALUE); }); \
    }
FOREACH_POWER(aclnnForeachPowScalar, Tensor, "pow.Tensor_Scalar", exponent.item())
FOREACH_POWER(aclnnForeachPowScalarV2, Scalar, "pow.Tensor_Scalar", exponent)
FOREACH_POWER(aclnnForeachPowScalarList, Scalars, "pow.Tensor_Scalar", exponent[i])
FOREACH_POWER(aclnnForeachPowList, Tensors, "pow.Tensor_Tensor", exponent[i])

// Three versions of each binary operator: with a scalar in a tensor of one element, with an
// aclScalar (V2), and with a list of scalars.
#define FOREACH_SCALAR(OP, SCHEMA)                                                    \
    ACLNN(aclnnForeach##OP##Scalar, Tensors x, Tensor scalar, Outs out) {             \
        const double value = scalar.item();                                           \
        for_each(out, [&](std::size_t i) { return aten(SCHEMA, x[i], value); });      \
    }                                                                                 \
    ACLNN(aclnnForeach##OP##ScalarV2, Tensors x, Scalar scalar, Outs out) {           \
        for_each(out, [&](std::size_t i) { return aten(SCHEMA, x[i], scalar); });     \
    }                                                                                 \
    ACLNN(aclnnForeach##OP##ScalarList, Tensors x, Scalars scalars, Outs out) {       \
        for_each(out, [&](std::size_t i) { return aten(SCHEMA, x[i], scalars[i]); }); \
    }
FOREACH_SCALAR(Add, "add.Scalar")
FOREACH_SCALAR(Sub, "sub.Scalar")
FOREACH_SCALAR(Mul, "mul.Scalar")
FOREACH_SCALAR(Div, "div.Scalar")
FOREACH_SCALAR(Maximum, "clamp_min")
FOREACH_SCALAR(Minimum, "clamp_max")

#define FOREACH_LIST_ALPHA(OP, SCHEMA)                                                 \
    ACLNN(aclnnForeach##OP##List, Tensors x, Tensors y, Tensor alpha, Outs out) {      \
        const double value = alpha.item();                                             \
        for_each(out, [&](std::size_t i) { return aten(SCHEMA, x[i], y[i], value); }); \
    }                                                                                  \
    ACLNN(aclnnForeach##OP##ListV2, Tensors x, Tensors y, Scalar alpha, Outs out) {    \
        for_each(out, [&](std::size_t i) { return aten(SCHEMA, x[i], y[i], alpha); }); \
    }
FOREACH_LIST_ALPHA(Add, "add.Tensor")
FOREACH_LIST_ALPHA(Sub, "sub.Tensor")

#define FOREACH_LIST(OP, SCHEMA)                                                \
    ACLNN(aclnnForeach##OP##List, Tensors x, Tensors y, Outs out) {             \
        for_each(out, [&](std::size_t i) { return aten(SCHEMA, x[i], y[i]); }); \
    }
FOREACH_LIST(Mul, "mul.Tensor")
FOREACH_LIST(Div, "div.Tensor")
FOREACH_LIST(Maximum, "maximum")
FOREACH_LIST(Minimum, "minimum")

// A list of scalars is one tensor here.
#define FOREACH_POINTWISE(OP, SCHEMA)                                                             \
    ACLNN(aclnnForeach##OP##Scalar, Tensors x, Tensors y, Tensors z, Tensor scalar, Outs out) {   \
        const double value = scalar.item();                                                       \
        for_each(out, [&](std::size_t i) { return aten(SCHEMA, x[i], y[i], z[i], value); });      \
    }                                                                                             \
    ACLNN(aclnnForeach##OP##ScalarV2, Tensors x, Tensors y, Tensors z, Scalar scalar, Outs out) { \
        for_each(out, [&](std::size_t i) { return aten(SCHEMA, x[i], y[i], z[i], scalar); });     \
    }                                                                                             \
    ACLNN(aclnnForeach##OP##ScalarList, Tensors x, Tensors y, Tensors z, Tensor scalars,          \
          Outs out) {                                                                             \
        for_each(out, [&](std::size_t i) {                                                        \
            const double value = aten("select.int", scalars, 0, static_cast<Int>(i)).item();      \
            return aten(SCHEMA, x[i], y[i], z[i], value);                                         \
        });                                                                                       \
    }
FOREACH_POINTWISE(Addcmul, "addcmul")
FOREACH_POINTWISE(Addcdiv, "addcdiv")

ACLNN(aclnnForeachLerpScalar, Tensors x, Tensors y, Scalar weight, Outs out) {
    for_each(out, [&](std::size_t i) { return aten("lerp.Scalar", x[i], y[i], weight); });
}
ACLNN(aclnnForeachLerpList, Tensors x, Tensors y, Tensors weights, Outs out) {
    for_each(out, [&](std::size_t i) { return aten("lerp.Tensor", x[i], y[i], weights[i]); });
}
ACLNN(aclnnForeachPowScalarAndTensor, Scalar base, Tensors exponents, Outs out) {
    for_each(out, [&](std::size_t i) { return aten("pow.Scalar", base, exponents[i]); });
}

namespace {

Tensor rounded(const Tensor& x, Int mode) {
    switch (mode) {
        case 1:
            return aten("round", x);
        case 2:
            return aten("floor", x);
        case 3:
            return aten("ceil", x);
        case 5:
            return aten("trunc", x);
        case 7:
            return aten("frac", x);
        default:
            not_emulated("roundMode " + std::to_string(mode));
    }
}

}  // namespace

ACLNN(aclnnForeachRoundOffNumber, Tensors x, Tensor roundMode, Outs out) {
    const auto mode = static_cast<Int>(roundMode.item());
    for_each(out, [&](std::size_t i) { return rounded(x[i], mode); });
}
ACLNN(aclnnForeachRoundOffNumberV2, Tensors x, Scalar roundMode, Outs out) {
    const auto mode = static_cast<Int>(roundMode.to_double());
    for_each(out, [&](std::size_t i) { return rounded(x[i], mode); });
}
ACLNN(aclnnForeachCopy, Tensors x, Outs out) {
    for_each(out, [&](std::size_t i) { return x[i]; });
}
ACLNN(aclnnForeachNorm, Tensors x, Scalar order, Outs out) {
    for_each(out, [&](std::size_t i) { return aten("linalg_vector_norm", x[i], order); });
}
ACLNN(aclnnForeachZeroInplace, InOuts self) {
    for (const Tensor& tensor : self.tensors) {
        aten("zero_", tensor);
    }
}
ACLNN(aclnnForeachNonFiniteCheckAndUnscale, InOuts grads, InOut found_inf, Tensor inverse_scale) {
    for (const Tensor& grad : grads.tensors) {
        if (aten("all", aten("isfinite", grad)).item() == 0) {
            aten("fill_.Scalar", found_inf.tensor, 1);
        }
        assign(grad, grad * inverse_scale);
    }
}
