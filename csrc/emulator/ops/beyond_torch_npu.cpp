// Functions that CANN documents and that torch_npu does not call.
#include "emulator/aclnn/operation.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnDiag,                 "diag",                Tensor, Int, Out)
ATEN(aclnnDiagFlat,             "diagflat",            Tensor, Int, Out)
ATEN(aclnnDigamma,              "digamma",             Tensor, Out)
ATEN(aclnnGer,                  "outer",               Tensor, Tensor, Out)
ATEN(aclnnHeaviside,            "heaviside",           Tensor, Tensor, Out)
ATEN(aclnnInplaceAddbmm,        "addbmm_",             InOut, Tensor, Tensor, Scalar, Scalar, CubeMathType)
ATEN(aclnnInplaceBaddbmm,       "baddbmm_",            InOut, Tensor, Tensor, Scalar, Scalar, CubeMathType)
ATEN(aclnnInplaceBitwiseOrScalar, "bitwise_or_.Scalar", InOut, Scalar)
ATEN(aclnnInplaceBitwiseOrTensor, "bitwise_or_.Tensor", InOut, Tensor)
ATEN(aclnnInplaceNeg,           "neg_",                InOut)
ATEN(aclnnInplaceRound,         "round_",              InOut)
ATEN(aclnnInplaceSelu,          "selu_",               InOut)
ATEN(aclnnInplaceTrunc,         "trunc_",              InOut)
ATEN(aclnnInplaceXLogYTensor,   "xlogy_.Tensor",       InOut, Tensor)
ATEN(aclnnIsInf,                "isinf",               Tensor, Out)
ATEN(aclnnLgamma,               "lgamma",              Tensor, Out)
ATEN(aclnnLogdet,               "logdet",              Tensor, Out)
ATEN(aclnnMseLossOut,           "mse_loss",            Tensor, Tensor, Int, Out)
ATEN(aclnnPermute,              "permute",             Tensor, Ints, Out)
ATEN(aclnnReal,                 "real",                Tensor, Out)
ATEN(aclnnSelu,                 "selu",                Tensor, Out)
ATEN(aclnnSlice,                "slice.Tensor",        Tensor, Int, Int, Int, Int, Out)
ATEN(aclnnSquare,               "square",              Tensor, Out)
ATEN(aclnnVar,                  "var.dim",             Tensor, Dims, bool, bool, Out)
ATEN(aclnnXlog1py,              "special_xlog1py",     Tensor, Tensor, Out)
// clang-format on

namespace {

IntList all_dims(const Tensor& tensor) {
    IntList dims(static_cast<std::size_t>(tensor.dim()));
    for (std::size_t i = 0; i < dims.size(); ++i) {
        dims[i] = static_cast<Int>(i);
    }
    return dims;
}

/// Reduce as ONNX does: no dims are all of them, or none if `is_noop` is set.
Tensor reduced(const char* schema, const Tensor& self, const Ints& dims, bool keep, bool is_noop) {
    if (dims.empty() && is_noop) {
        return self;
    }
    return aten(schema, self, dims.empty() ? all_dims(self) : dims, keep);
}

Tensor folded(const char* schema, const Tensors& tensors) {
    Tensor result = tensors.at(0);
    for (std::size_t i = 1; i < tensors.size(); ++i) {
        result = aten(schema, result, tensors[i]);
    }
    return result;
}

/// Change the rows of `var` that `indices` name, one after another: an index may occur twice.
template <class Function>
void update_rows(const InOut& var, const Tensor& indices, const Tensor& updates, Function updated) {
    const Tensor flat = indices.reshape({-1}).to(DType::int64);
    IntList shape = var.tensor.sizes();
    shape[0] = flat.numel();
    const Tensor rows = updates.reshape(shape);
    for (Int i = 0; i < flat.numel(); ++i) {
        const Int index = static_cast<Int>(aten("select.int", flat, 0, i).item());
        const Tensor row = aten("select.int", var.tensor, 0, index);
        assign(row, updated(row, aten("select.int", rows, 0, i)));
    }
}

}  // namespace

ACLNN(aclnnAddN, Tensors tensors, Out out) { out = folded("add.Tensor", tensors); }
ACLNN(aclnnMaxN, Tensors tensors, Out out) { out = folded("maximum", tensors); }
ACLNN(aclnnMinN, Tensors tensors, Out out) { out = folded("minimum", tensors); }

ACLNN(aclnnMaxV2, Tensor self, Ints dims, bool keep, bool noop_with_empty_dims, Out out) {
    out = reduced("amax", self, dims, keep, noop_with_empty_dims);
}
ACLNN(aclnnMeanV2, Tensor self, Ints dims, bool keep, bool noop_with_empty_axes, Out out) {
    out = reduced("mean.dim", self, dims, keep, noop_with_empty_axes);
}
ACLNN(aclnnReduceLogSum, Tensor data, Ints axes, bool keep, bool noop_with_empty_axes, Out out) {
    out = aten("log", reduced("sum.dim_IntList", data, axes, keep, noop_with_empty_axes));
}

// exclusive: without the element itself; reverse: from the end
ACLNN(aclnnCumsumV2, Tensor self, Int dim, bool exclusive, bool reverse, Out out) {
    const IntList dims = {dim};
    const Tensor ordered = reverse ? aten("flip", self, dims) : self;
    const Tensor sums = aten("cumsum", ordered, dim);
    const Tensor wanted = exclusive ? sums - ordered : sums;
    out = reverse ? aten("flip", wanted, dims) : wanted;
}
ACLNN(aclnnInplaceCumprod, InOut self, Scalar dim) {
    self = aten("cumprod", self.tensor, static_cast<Int>(dim.to_double()));
}
ACLNN(aclnnArgsort, Tensor self, Int dim, bool descending, Out out) {
    out = aten("argsort.stable", self, true, dim, descending);
}
ACLNN(aclnnQr, Tensor self, bool some, Out q, Out r) {
    const TensorList found = aten_all("linalg_qr", self, some ? "reduced" : "complete");
    q = found[0];
    r = found[1];
}
ACLNN(aclnnGemm, Tensor a, Tensor b, Tensor c, float alpha, float beta, Int trans_a, Int trans_b,
      Out out, CubeMathType) {
    const Tensor left = trans_a != 0 ? a.transpose(0, 1) : a;
    const Tensor right = trans_b != 0 ? b.transpose(0, 1) : b;
    out = aten("addmm", c, left, right, static_cast<double>(beta), static_cast<double>(alpha));
}
ACLNN(aclnnEinsum, Tensors tensors, String equation, Out out) {
    out = aten("einsum", equation, tensors);
}

ACLNN(aclnnExpand, Tensor self, Ints size, Out out) { out = aten("expand", self, size); }
// Two dimensions: those before the axis, and the others.
ACLNN(aclnnFlatten, Tensor self, Int axis, Out out) {
    Int rows = 1;
    for (Int i = 0; i < (axis < 0 ? axis + self.dim() : axis); ++i) {
        rows *= self.size(i);
    }
    out = self.reshape({rows, rows == 0 ? 0 : self.numel() / rows});
}
ACLNN(aclnnSliceV2, Tensor self, Ints starts, Ints ends, Ints axes, Ints steps, Out out) {
    Tensor part = self;
    for (std::size_t i = 0; i < starts.size(); ++i) {
        part = aten("slice.Tensor", part, axes.at(i), starts[i], ends.at(i), steps.at(i));
    }
    out = part;
}
ACLNN(aclnnSplitTensor, Tensor self, UInt sections, Int dim, Outs out) {
    const TensorList parts = aten_all("split.Tensor", self, static_cast<Int>(sections), dim);
    for (std::size_t i = 0; i < out.tensors.size(); ++i) {
        assign(out.tensors[i], parts.at(i));
    }
}
ACLNN(aclnnGatherV2, Tensor self, Int dim, Tensor index, Out out) {
    const Tensor rows = aten("index_select", self, dim, index.reshape({-1}));
    out = rows.reshape(out.tensor.sizes());
}

ACLNN(aclnnSeluBackward, Tensor grad, Tensor result, Out out) {
    const double alpha = 1.6732632423543772;
    const double scale = 1.0507009873554805;  // both as in torch.nn.SELU
    out = aten("elu_backward", grad, alpha, scale, 1.0, true, result);
}
ACLNN(aclnnShrink, Tensor self, Scalar lambda, Scalar bias, Out out) {
    const double limit = lambda.to_double();
    const Tensor zero = aten("zeros_like", self);
    const Tensor above =
        aten("where.self", aten("gt.Scalar", self, limit), self - bias.to_double(), zero);
    out = aten("where.self", aten("lt.Scalar", self, -limit), self + bias.to_double(), above);
}
ACLNN(aclnnSquaredRelu, Tensor self, Out out) { out = aten("square", aten("relu", self)); }
ACLNN(aclnnSwish, Tensor self, OptionalScalar beta, Out out) {
    const Tensor x = self.to_float();
    out = x * aten("sigmoid", x * (beta.scalar ? beta.scalar->to_double() : 1.0));
}
ACLNN(aclnnSwishBackward, Tensor grad, Tensor self, OptionalScalar beta, Out out) {
    const Tensor x = self.to_float() * (beta.scalar ? beta.scalar->to_double() : 1.0);
    const Tensor gate = aten("sigmoid", x);
    out = grad.to_float() * (gate + x * gate * (-gate + 1));
}

ACLNN(aclnnScatterNd, Tensor data, Tensor indices, Tensor updates, Out out) {
    const TensorList places = aten_all("unbind.int", indices.to(DType::int64), -1);
    out = aten("index_put", data, places, updates);
}
ACLNN(aclnnScatterMul, InOut var, Tensor indices, Tensor updates, Unused<bool>) {
    update_rows(var, indices, updates, [](const Tensor& a, const Tensor& b) { return a * b; });
}
ACLNN(aclnnScatterDiv, InOut var, Tensor indices, Tensor updates, Unused<bool>) {
    update_rows(var, indices, updates, [](const Tensor& a, const Tensor& b) { return a / b; });
}
ACLNN(aclnnScatterMax, InOut var, Tensor indices, Tensor updates, Unused<bool>) {
    update_rows(var, indices, updates,
                [](const Tensor& a, const Tensor& b) { return aten("maximum", a, b); });
}
ACLNN(aclnnScatterMin, InOut var, Tensor indices, Tensor updates, Unused<bool>) {
    update_rows(var, indices, updates,
                [](const Tensor& a, const Tensor& b) { return aten("minimum", a, b); });
}
