// Elementwise arithmetic and mathematical functions.
#include "emulator/aclnn/operation.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnAbs,                 "abs",                  Tensor, Out)
ATEN(aclnnAcos,                "acos",                 Tensor, Out)
ATEN(aclnnAcosh,               "acosh",                Tensor, Out)
ATEN(aclnnAdd,                 "add.Tensor",           Tensor, Tensor, Scalar, Out)
ATEN(aclnnAddV3,               "add.Tensor",           Scalar, Tensor, Scalar, Out)
ATEN(aclnnAddcdiv,             "addcdiv",              Tensor, Tensor, Tensor, Scalar, Out)
ATEN(aclnnAddcmul,             "addcmul",              Tensor, Tensor, Tensor, Scalar, Out)
ATEN(aclnnAdds,                "add.Scalar",           Tensor, Scalar, Scalar, Out)
ATEN(aclnnAmpUpdateScale,      "_amp_update_scale",    Tensor, Tensor, Tensor, double, double, Int, Out, Out)
ATEN(aclnnAngleV2,             "angle",                Tensor, Out)
ATEN(aclnnAsin,                "asin",                 Tensor, Out)
ATEN(aclnnAsinh,               "asinh",                Tensor, Out)
ATEN(aclnnAtan,                "atan",                 Tensor, Out)
ATEN(aclnnAtan2,               "atan2",                Tensor, Tensor, Out)
ATEN(aclnnAtanh,               "atanh",                Tensor, Out)
ATEN(aclnnCeil,                "ceil",                 Tensor, Out)
ATEN(aclnnCos,                 "cos",                  Tensor, Out)
ATEN(aclnnCosh,                "cosh",                 Tensor, Out)
ATEN(aclnnDiv,                 "div.Tensor",           Tensor, Tensor, Out)
ATEN(aclnnDivs,                "div.Scalar",           Tensor, Scalar, Out)
ATEN(aclnnErf,                 "erf",                  Tensor, Out)
ATEN(aclnnErfc,                "erfc",                 Tensor, Out)
ATEN(aclnnErfinv,              "erfinv",               Tensor, Out)
ATEN(aclnnExp,                 "exp",                  Tensor, Out)
ATEN(aclnnExp2,                "exp2",                 Tensor, Out)
ATEN(aclnnExpm1,               "expm1",                Tensor, Out)
ATEN(aclnnFloor,               "floor",                Tensor, Out)
ATEN(aclnnFloorDivide,         "floor_divide",         Tensor, Tensor, Out)
ATEN(aclnnFloorDivides,        "floor_divide.Scalar",  Tensor, Scalar, Out)
ATEN(aclnnFmodScalar,          "fmod.Scalar",          Tensor, Scalar, Out)
ATEN(aclnnFmodTensor,          "fmod.Tensor",          Tensor, Tensor, Out)
ATEN(aclnnFrac,                "frac",                 Tensor, Out)
ATEN(aclnnGcd,                 "gcd",                  Tensor, Tensor, Out)
ATEN(aclnnInplaceAcos,         "acos_",                InOut)
ATEN(aclnnInplaceAcosh,        "acosh_",               InOut)
ATEN(aclnnInplaceAdd,          "add_.Tensor",          InOut, Tensor, Scalar)
ATEN(aclnnInplaceAddcdiv,      "addcdiv_",             InOut, Tensor, Tensor, Scalar)
ATEN(aclnnInplaceAddcmul,      "addcmul_",             InOut, Tensor, Tensor, Scalar)
ATEN(aclnnInplaceAdds,         "add_.Scalar",          InOut, Scalar, Scalar)
ATEN(aclnnInplaceAsin,         "asin_",                InOut)
ATEN(aclnnInplaceAsinh,        "asinh_",               InOut)
ATEN(aclnnInplaceAtan,         "atan_",                InOut)
ATEN(aclnnInplaceAtan2,        "atan2_",               InOut, Tensor)
ATEN(aclnnInplaceAtanh,        "atanh_",               InOut)
ATEN(aclnnInplaceCeil,         "ceil_",                InOut)
ATEN(aclnnInplaceCos,          "cos_",                 InOut)
ATEN(aclnnInplaceCosh,         "cosh_",                InOut)
ATEN(aclnnInplaceErf,          "erf_",                 InOut)
ATEN(aclnnInplaceErfc,         "erfc_",                InOut)
ATEN(aclnnInplaceErfinv,       "erfinv_",              InOut)
ATEN(aclnnInplaceExp,          "exp_",                 InOut)
ATEN(aclnnInplaceExp2,         "exp2_",                InOut)
ATEN(aclnnInplaceExpm1,        "expm1_",               InOut)
ATEN(aclnnInplaceFloor,        "floor_",               InOut)
ATEN(aclnnInplaceFloorDivide,  "floor_divide_.Tensor", InOut, Tensor)
ATEN(aclnnInplaceFloorDivides, "floor_divide_.Scalar", InOut, Scalar)
ATEN(aclnnInplaceFmodScalar,   "fmod_.Scalar",         InOut, Scalar)
ATEN(aclnnInplaceFmodTensor,   "fmod_.Tensor",         InOut, Tensor)
ATEN(aclnnInplaceFrac,         "frac_",                InOut)
ATEN(aclnnInplaceLerp,         "lerp_.Tensor",         InOut, Tensor, Tensor)
ATEN(aclnnInplaceLerps,        "lerp_.Scalar",         InOut, Tensor, Scalar)
ATEN(aclnnInplaceLog,          "log_",                 InOut)
ATEN(aclnnInplaceLog10,        "log10_",               InOut)
ATEN(aclnnInplaceLog1p,        "log1p_",               InOut)
ATEN(aclnnInplaceLog2,         "log2_",                InOut)
ATEN(aclnnInplaceMul,          "mul_.Tensor",          InOut, Tensor)
ATEN(aclnnInplaceMuls,         "mul_.Scalar",          InOut, Scalar)
ATEN(aclnnInplacePowTensorScalar, "pow_.Scalar",        InOut, Scalar)
ATEN(aclnnInplacePowTensorTensor, "pow_.Tensor",        InOut, Tensor)
ATEN(aclnnInplaceReciprocal,   "reciprocal_",          InOut)
ATEN(aclnnInplaceRsqrt,        "rsqrt_",               InOut)
ATEN(aclnnInplaceSin,          "sin_",                 InOut)
ATEN(aclnnInplaceSinc,         "sinc_",                InOut)
ATEN(aclnnInplaceSinh,         "sinh_",                InOut)
ATEN(aclnnInplaceSqrt,         "sqrt_",                InOut)
ATEN(aclnnInplaceSub,          "sub_.Tensor",          InOut, Tensor, Scalar)
ATEN(aclnnInplaceSubs,         "sub_.Scalar",          InOut, Scalar, Scalar)
ATEN(aclnnInplaceTan,          "tan_",                 InOut)
ATEN(aclnnInplaceTanh,         "tanh_",                InOut)
ATEN(aclnnLerp,                "lerp.Tensor",          Tensor, Tensor, Tensor, Out)
ATEN(aclnnLerps,               "lerp.Scalar",          Tensor, Tensor, Scalar, Out)
ATEN(aclnnLog,                 "log",                  Tensor, Out)
ATEN(aclnnLog10,               "log10",                Tensor, Out)
ATEN(aclnnLog1p,               "log1p",                Tensor, Out)
ATEN(aclnnLog2,                "log2",                 Tensor, Out)
ATEN(aclnnLogAddExp,           "logaddexp",            Tensor, Tensor, Out)
ATEN(aclnnLogAddExp2,          "logaddexp2",           Tensor, Tensor, Out)
ATEN(aclnnLogit,               "logit",                Tensor, double, Out)
ATEN(aclnnMul,                 "mul.Tensor",           Tensor, Tensor, Out)
ATEN(aclnnMuls,                "mul.Scalar",           Tensor, Scalar, Out)
ATEN(aclnnNeg,                 "neg",                  Tensor, Out)
ATEN(aclnnPowScalarTensor,        "pow.Scalar",         Scalar, Tensor, Out)
ATEN(aclnnPowTensorScalar,        "pow.Tensor_Scalar",  Tensor, Scalar, Out)
ATEN(aclnnPowTensorTensor,        "pow.Tensor_Tensor",  Tensor, Tensor, Out)
ATEN(aclnnReciprocal,          "reciprocal",           Tensor, Out)
ATEN(aclnnRound,               "round",                Tensor, Out)
ATEN(aclnnRsqrt,               "rsqrt",                Tensor, Out)
ATEN(aclnnRsub,                "rsub.Tensor",          Tensor, Tensor, Scalar, Out)
ATEN(aclnnRsubs,               "rsub.Scalar",          Tensor, Scalar, Scalar, Out)
ATEN(aclnnSin,                 "sin",                  Tensor, Out)
ATEN(aclnnSinc,                "sinc",                 Tensor, Out)
ATEN(aclnnSinh,                "sinh",                 Tensor, Out)
ATEN(aclnnSqrt,                "sqrt",                 Tensor, Out)
ATEN(aclnnSub,                 "sub.Tensor",           Tensor, Tensor, Scalar, Out)
ATEN(aclnnSubs,                "sub.Scalar",           Tensor, Scalar, Scalar, Out)
ATEN(aclnnTan,                 "tan",                  Tensor, Out)
ATEN(aclnnTanh,                "tanh",                 Tensor, Out)
ATEN(aclnnTrunc,               "trunc",                Tensor, Out)
ATEN(aclnnXLogYTensor,         "xlogy.Tensor",         Tensor, Tensor, Out)
ATEN(aclnnXLogYScalarOther,   "xlogy.Scalar_Other",  Tensor, Scalar, Out)
ATEN(aclnnXLogYScalarSelf,    "xlogy.Scalar_Self",   Scalar, Tensor, Out)
ATEN(aclnnInplaceXLogYScalarOther, "xlogy_.Scalar_Other", InOut, Scalar)
// clang-format on

namespace {

const char* rounding_name(Int mode) { return mode == 1 ? "trunc" : "floor"; }

Tensor divide(const Tensor& self, const Value& other, Int mode) {
    return mode == 0 ? aten("div.Tensor", self, other)
                     : aten("div.Tensor_mode", self, other, rounding_name(mode));
}

bool is_integral(const Value& value) {
    if (const auto* tensor = std::get_if<Tensor>(&value)) {
        return is_integral(tensor->dtype());
    }
    const auto& scalar = std::get<Scalar>(value).value;
    return std::holds_alternative<Int>(scalar) || std::holds_alternative<bool>(scalar);
}

/// ATen refuses the remainder of integers by 0. CANN's kernel gives -1.
Tensor remainder(const Value& self, const Value& other) {
    if (!is_integral(self) || !is_integral(other)) {
        return aten("remainder.Tensor", self, other);
    }
    const Tensor is_zero = aten("eq.Scalar", other, 0);
    const Tensor divisor = aten("masked_fill.Scalar", other, is_zero, 1);
    return aten("masked_fill.Scalar", aten("remainder.Tensor", self, divisor), is_zero, -1);
}

}  // namespace

// Integers get the quotient without its fraction, where ATen refuses them.
ACLNN_LIKE(aclnnInplaceDiv, "div_.Tensor", InOut self, Tensor other) {
    self = aten("div.Tensor", self.tensor, other);
}
ACLNN_LIKE(aclnnInplaceDivs, "div_.Scalar", InOut self, Scalar other) {
    self = aten("div.Scalar", self.tensor, other);
}

ACLNN_LIKE(aclnnRemainderTensorTensor, "remainder.Tensor", Tensor self, Tensor other, Out out) {
    out = remainder(self, other);
}
ACLNN_LIKE(aclnnRemainderTensorScalar, "remainder.Scalar", Tensor self, Scalar other, Out out) {
    out = remainder(self, other);
}
ACLNN_LIKE(aclnnRemainderScalarTensor, "remainder.Scalar_Tensor", Scalar self, Tensor other,
           Out out) {
    out = remainder(self, other);
}
ACLNN_LIKE(aclnnInplaceRemainderTensorTensor, "remainder_.Tensor", InOut self, Tensor other) {
    self = remainder(self.tensor, other);
}
ACLNN_LIKE(aclnnInplaceRemainderTensorScalar, "remainder_.Scalar", InOut self, Scalar other) {
    self = remainder(self.tensor, other);
}

// mode: 0 true division, 1 towards zero, 2 down
ACLNN(aclnnDivMod, Tensor self, Tensor other, Int32 mode, Out out) {
    out = divide(self, other, mode);
}
ACLNN(aclnnDivMods, Tensor self, Scalar other, Int32 mode, Out out) {
    out = divide(self, other, mode);
}
ACLNN(aclnnInplaceDivMod, InOut self, Tensor other, Int32 mode) {
    self = divide(self.tensor, other, mode);
}
ACLNN(aclnnInplaceDivMods, InOut self, Scalar other, Int32 mode) {
    self = divide(self.tensor, other, mode);
}
ACLNN(aclnnRoundDecimals, Tensor self, Int decimals, Out out) {
    // The keyword-only argument follows by position.
    out = aten("round.decimals", self, decimals);
}
