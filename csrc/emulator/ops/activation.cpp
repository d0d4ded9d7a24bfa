// Activations and their gradients.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnAddRelu,             "_add_relu.Tensor",     Tensor, Tensor, Scalar, Out)
ATEN(aclnnCelu,                "celu",                 Tensor, Scalar, Out)
ATEN(aclnnElu,                 "elu",                  Tensor, Scalar, Scalar, Scalar, Out)
ATEN(aclnnEluBackward,         "elu_backward",         Tensor, Scalar, Scalar, Scalar, bool, Tensor, Out)
ATEN(aclnnGlu,                 "glu",                  Tensor, Int, Out)
ATEN(aclnnGluBackward,         "glu_backward",         Tensor, Tensor, Int, Out)
ATEN(aclnnHardshrink,          "hardshrink",           Tensor, Scalar, Out)
ATEN(aclnnHardshrinkBackward,  "hardshrink_backward",  Tensor, Tensor, Scalar, Out)
ATEN(aclnnHardsigmoidBackward, "hardsigmoid_backward", Tensor, Tensor, Out)
ATEN(aclnnHardswish,           "hardswish",            Tensor, Out)
ATEN(aclnnHardswishBackward,   "hardswish_backward",   Tensor, Tensor, Out)
ATEN(aclnnHardswishBackwardV2, "hardswish_backward",   Tensor, Tensor, Out)
ATEN(aclnnHardtanh,            "hardtanh",             Tensor, Scalar, Scalar, Out)
ATEN(aclnnHardtanhBackward,    "hardtanh_backward",    Tensor, Tensor, Scalar, Scalar, Out)
ATEN(aclnnInplaceAddRelu,      "_add_relu_.Tensor",    InOut, Tensor, Scalar)
ATEN(aclnnInplaceCelu,         "celu_",                InOut, Scalar)
ATEN(aclnnInplaceElu,          "elu_",                 InOut, Scalar, Scalar, Scalar)
ATEN(aclnnInplaceHardswish,    "hardswish_",           InOut)
ATEN(aclnnInplaceHardtanh,     "hardtanh_",            InOut, Scalar, Scalar)
ATEN(aclnnInplaceLeakyRelu,    "leaky_relu_",          InOut, Scalar)
ATEN(aclnnInplaceMish,         "mish_",                InOut)
ATEN(aclnnInplaceRelu,         "relu_",                InOut)
ATEN(aclnnInplaceSigmoid,      "sigmoid_",             InOut)
ATEN(aclnnInplaceThreshold,    "threshold_",           InOut, Scalar, Scalar)
ATEN(aclnnLeakyRelu,           "leaky_relu",           Tensor, Scalar, Out)
ATEN(aclnnLeakyReluBackward,   "leaky_relu_backward",  Tensor, Tensor, Scalar, bool, Out)
ATEN(aclnnLogSigmoid,          "log_sigmoid",          Tensor, Out)
ATEN(aclnnLogSigmoidForward,   "log_sigmoid_forward",  Tensor, Out, Out)
ATEN(aclnnLogSoftmax,          "log_softmax.int",      Tensor, Int, Out)
ATEN(aclnnMish,                "mish",                 Tensor, Out)
ATEN(aclnnMishBackward,        "mish_backward",        Tensor, Tensor, Out)
ATEN(aclnnRelu,                "relu",                 Tensor, Out)
ATEN(aclnnSigmoid,             "sigmoid",              Tensor, Out)
ATEN(aclnnSigmoidBackward,     "sigmoid_backward",     Tensor, Tensor, Out)
ATEN(aclnnSilu,                "silu",                 Tensor, Out)
ATEN(aclnnSiluBackward,        "silu_backward",        Tensor, Tensor, Out)
ATEN(aclnnSoftmax,             "softmax.int",          Tensor, Int, Out)
ATEN(aclnnSoftplus,            "softplus",             Tensor, Scalar, Scalar, Out)
ATEN(aclnnSoftplusBackward,    "softplus_backward",    Tensor, Tensor, Scalar, Scalar, Out)
ATEN(aclnnSoftshrink,          "softshrink",           Tensor, Scalar, Out)
ATEN(aclnnSoftshrinkBackward,  "softshrink_backward",  Tensor, Tensor, Scalar, Out)
ATEN(aclnnTanhBackward,        "tanh_backward",        Tensor, Tensor, Out)
ATEN(aclnnThreshold,           "threshold",            Tensor, Scalar, Scalar, Out)
ATEN(aclnnThresholdBackward,   "threshold_backward",   Tensor, Tensor, Scalar, Out)
// clang-format on

namespace {

/// A device takes integers as well, and cuts the fraction of the result off.
Tensor hardsigmoid(const Tensor& x) {
    return aten("hardsigmoid", is_integral(x.dtype()) ? x.to_float() : x);
}

}  // namespace

ACLNN_LIKE(aclnnHardsigmoid, "hardsigmoid", Tensor self, Out out) { out = hardsigmoid(self); }
ACLNN_LIKE(aclnnInplaceHardsigmoid, "hardsigmoid_", InOut self) { self = hardsigmoid(self.tensor); }

ACLNN(aclnnSoftmaxBackward, Tensor grad, Tensor output, Int dim, Out out) {
    out = aten("_softmax_backward_data", grad, output, dim, output.dtype());
}
ACLNN(aclnnLogSoftmaxBackward, Tensor grad, Tensor output, Int dim, Out out) {
    out = aten("_log_softmax_backward_data", grad, output, dim, output.dtype());
}

// CANN documents both with the tanh formula. On Ascend910B torch_npu calls them for every value of
// `approximate`, unless TORCH_NPU_USE_COMPATIBLE_IMPL=1 selects the V2 functions.
ACLNN(aclnnGelu, Tensor x, Out y) { y = aten("gelu", x, "tanh"); }
ACLNN(aclnnGeluBackward, Tensor grad, Tensor x, Out out) {
    out = aten("gelu_backward", grad, x, "tanh");
}
ACLNN(aclnnGeluV2, Tensor x, Int approximate, Out y) {
    y = aten("gelu", x, approximate == 1 ? "tanh" : "none");
}
ACLNN(aclnnGeluBackwardV2, Tensor grad, Tensor x, String approximate, Out out) {
    out = aten("gelu_backward", grad, x, approximate);
}

ACLNN(aclnnFastGelu, Tensor x, Out y) {
    const Tensor wide = x.to_float();
    y = wide * aten("sigmoid", wide * 1.702);
}
ACLNN(aclnnFastGeluBackward, Tensor grad, Tensor x, Out out) {
    const Tensor wide = x.to_float();
    const Tensor gate = aten("sigmoid", wide * 1.702);
    out = grad.to_float() * (gate + wide * gate * (-gate + 1.0) * 1.702);
}

namespace {

/// The halves of x in fp32. A device refuses an x that is not contiguous or cannot be halved.
TensorList swiglu_halves(const Tensor& x, Int dim) {
    require(x.contiguous().impl() == x.impl(), "x must be contiguous");
    require(x.size(dim) % 2 == 0,
            "the size of dimension dim must be even, got " + std::to_string(x.size(dim)));
    return aten_all("chunk", x.to_float(), 2, dim);
}

}  // namespace

ACLNN_CHECKED(aclnnSwiGlu, Tensor x, Int dim, Out out) {
    const TensorList halves = swiglu_halves(x, dim);
    out = aten("silu", halves[0]) * halves[1];
}
ACLNN_CHECKED(aclnnSwiGluGrad, Tensor grad, Tensor x, Int dim, Out out) {
    const TensorList halves = swiglu_halves(x, dim);
    const Tensor wide = grad.to_float();
    const TensorList grads = {aten("silu_backward", wide * halves[1], halves[0]),
                              wide * aten("silu", halves[0])};
    out = aten("cat", grads, dim);
}

namespace {

struct GeGlu {
    TensorList halves;
    std::size_t activated;  // the half that goes through GELU
    const char* formula;
};

/// A device refuses an x that cannot be halved, and other values of `approximate`.
GeGlu geglu(const Tensor& x, Int dim, Int approximate, bool activate_left) {
    require(x.size(dim) % 2 == 0,
            "the size of dimension dim must be even, got " + std::to_string(x.size(dim)));
    require(approximate == 0 || approximate == 1,
            "approximate must be 0 (none) or 1 (tanh), got " + std::to_string(approximate));
    return {aten_all("chunk", x.to_float(), 2, dim), activate_left ? std::size_t{0} : 1,
            approximate == 1 ? "tanh" : "none"};
}

}  // namespace

ACLNN_CHECKED(aclnnGeGluV3, Tensor x, Int dim, Int approximate, bool activate_left, Out out,
              Out out_gelu) {
    const GeGlu gate = geglu(x, dim, approximate, activate_left);
    const Tensor gelu = aten("gelu", gate.halves[gate.activated], gate.formula);
    out_gelu = gelu;
    out = gelu * gate.halves[1 - gate.activated];
}
ACLNN_CHECKED(aclnnGeGluV3Backward, Tensor grad, Tensor x, Tensor gelu, Int dim, Int approximate,
              bool activate_left, Out out) {
    const GeGlu gate = geglu(x, dim, approximate, activate_left);
    const Tensor wide = grad.to_float();
    TensorList grads(2);
    grads[gate.activated] = aten("gelu_backward", wide * gate.halves[1 - gate.activated],
                                 gate.halves[gate.activated], gate.formula);
    grads[1 - gate.activated] = wide * gelu.to_float();
    out = aten("cat", grads, dim);
}

// The gradients of both operands; the weight's is reduced to the weight's shape.
ACLNN(aclnnPreluBackward, Tensor grad, Tensor self, Tensor weight, Out grad_self, Out grad_weight) {
    IntList shape(static_cast<std::size_t>(self.dim()), 1);
    if (self.dim() > 1 && weight.numel() > 1) {
        shape[1] = weight.numel();
    }
    const TensorList grads = aten_all("_prelu_kernel_backward", grad, self, weight.reshape(shape));
    grad_self = grads[0];
    IntList reduced;
    for (Int i = 0; i < self.dim(); ++i) {
        if (shape[static_cast<std::size_t>(i)] == 1) {
            reduced.push_back(i);
        }
    }
    grad_weight = reduced.empty() ? grads[1] : grads[1].sum(reduced);
}
ACLNN(aclnnPrelu, Tensor self, Tensor weight, Out out) {
    out = aten("prelu", self, weight.reshape({-1}));
}

// `noise` keeps the slope of each element for the gradient.
ACLNN(aclnnRReluWithNoise, Tensor self, InOut noise, Scalar lower, Scalar upper, bool training,
      Int seed, Int offset, Out out) {
    out = aten("rrelu_with_noise", self, noise.tensor, lower, upper, training, Seed(seed, offset));
}
ACLNN(aclnnInplaceRReluWithNoise, InOut self, InOut noise, Scalar lower, Scalar upper,
      bool training, Int seed, Int offset) {
    aten("rrelu_with_noise_", self.tensor, noise.tensor, lower, upper, training,
         Seed(seed, offset));
}

// A device keeps nothing in the buffer that ATen's gradient reads.
ACLNN(aclnnLogSigmoidBackward, Tensor grad, Tensor self, Unused<Tensor>, Out out) {
    out = grad * aten("sigmoid", -self);
}
