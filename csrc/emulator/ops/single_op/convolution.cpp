// Convolutions of the single-operator interface, in NCHW and NCDHW.
#include <algorithm>

#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

/// The attributes that all convolutions have.
struct Convolution {
    IntList strides;
    IntList padding;
    IntList dilations;
    Int groups;

    explicit Convolution(const SingleOpOperands& operands)
        : strides(spatial(operands.ints("strides"))),
          padding(symmetric(operands.ints("pads"))),
          dilations(spatial(operands.ints("dilations"))),
          groups(static_cast<Int>(operands.number("groups", 1))) {
        operands.accept_attributes({"strides", "pads", "dilations", "groups", "data_format",
                                    "output_padding", "offset_x"});
        const std::string layout = operands.text("data_format", "NCHW");
        require(layout == "NCHW" || layout == "NCDHW",
                "data_format must be NCHW or NCDHW, got " + layout + "; others are not emulated");
        require(operands.number("offset_x") == 0, "offset_x must be 0; others are not emulated");
    }

    Tensor forward(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
        return aten("convolution", x.to_float(), weight.to_float(),
                    bias.defined() ? bias.to_float() : Tensor(), strides, padding, dilations, false,
                    IntList(strides.size(), 0), groups);
    }
    Tensor gradient(const Tensor& grad, const Tensor& x, const Tensor& weight, bool of_x) const {
        const TensorList grads =
            aten_all("convolution_backward", grad.to_float(), x.to_float(), weight.to_float(),
                     Value(), strides, padding, dilations, false, IntList(strides.size(), 0),
                     groups, BoolList{of_x, !of_x, false});
        return of_x ? grads[0] : grads[1];
    }

  private:
    /// Without batch and channels.
    static IntList spatial(const IntList& values) {
        return values.size() > 3 ? IntList(values.begin() + 2, values.end()) : values;
    }
    /// One value for both sides of each dimension.
    static IntList symmetric(const IntList& pads) {
        IntList padding;
        for (std::size_t i = 0; i + 1 < pads.size(); i += 2) {
            require(pads[i] == pads[i + 1],
                    "pads must be equal on both sides of a dimension; others are not emulated");
            padding.push_back(pads[i]);
        }
        return padding;
    }
};

Tensor empty_of(const Out& like) { return full(like.tensor.sizes(), Scalar{}, DType::float32); }

void forward(const SingleOpOperands& operands) {
    const Convolution convolution(operands);
    operands.output(0) =
        convolution.forward(operands.input(0), operands.input(1), operands.input(2));
}

/// sizes of x, weight, grad -> grad of x
void gradient_of_x(const SingleOpOperands& operands) {
    const Convolution convolution(operands);
    operands.output(0) = convolution.gradient(operands.input(2), empty_of(operands.output(0)),
                                              operands.input(1), true);
}

/// x, sizes of weight, grad -> grad of weight
void gradient_of_weight(const SingleOpOperands& operands) {
    const Convolution convolution(operands);
    operands.output(0) = convolution.gradient(operands.input(2), operands.input(0),
                                              empty_of(operands.output(0)), false);
}

/// The same for a depthwise convolution: each channel is a group.
void depthwise(const SingleOpOperands& operands, bool of_x) {
    Convolution convolution(operands);
    const Tensor grad = operands.input(2);
    convolution.groups = of_x ? operands.output(0).tensor.size(1) : operands.input(0).size(1);
    operands.output(0) =
        of_x ? convolution.gradient(grad, empty_of(operands.output(0)), operands.input(1), true)
             : convolution.gradient(grad, operands.input(0), empty_of(operands.output(0)), false);
}

}  // namespace

SINGLE_OP(Conv2D) { forward(operands); }
SINGLE_OP(Conv3D) { forward(operands); }
SINGLE_OP(Conv2DBackpropInput) { gradient_of_x(operands); }
SINGLE_OP(Conv3DBackpropInput) { gradient_of_x(operands); }
SINGLE_OP(Conv2DBackpropFilter) { gradient_of_weight(operands); }
SINGLE_OP(Conv3DBackpropFilter) { gradient_of_weight(operands); }
SINGLE_OP(DepthwiseConv2DBackpropInput) { depthwise(operands, true); }
SINGLE_OP(DepthwiseConv2DBackpropFilter) { depthwise(operands, false); }

namespace {

/// sizes of y, x, weight, bias -> y
void transposed(const SingleOpOperands& operands) {
    const Convolution convolution(operands);
    const Tensor bias = operands.input(3);
    const Tensor y = convolution.gradient(operands.input(1), empty_of(operands.output(0)),
                                          operands.input(2), true);
    IntList channels(static_cast<std::size_t>(y.dim()), 1);
    channels[1] = -1;
    operands.output(0) = bias.defined() ? y + bias.to_float().reshape(channels) : y;
}

}  // namespace

SINGLE_OP(Conv2DTranspose) { transposed(operands); }
SINGLE_OP(Conv3DTranspose) { transposed(operands); }
