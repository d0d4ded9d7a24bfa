// Deformable convolutions: a sample of the input for each tap, and a convolution of the samples
// whose stride is its kernel. All in fp32.
#include <algorithm>

#include "emulator/ops/checks.h"
#include "emulator/ops/deformable_offsets.h"

using namespace ascend_emulator;

namespace {

struct DeformableConvolution {
    IntList kernel;    // of height and width
    IntList stride;    // of N, C, height and width
    IntList padding;   // top, bottom, left and right
    IntList dilation;  // of N, C, height and width
    Int groups;
    Int deformable_groups;
    bool modulated;

    DeformableOffsets offsets() const {
        return {{kernel[0], kernel[1]},
                {stride[2], stride[3]},
                {padding[0], padding[2]},
                {dilation[2], dilation[3]},
                deformable_groups};
    }
    /// [N, channels, rows, columns] of the result.
    IntList output_sizes(const Tensor& x, const Tensor& weight) const {
        const auto along = [&](std::size_t axis, Int size) {
            const Int extent = (kernel[axis] - 1) * dilation[axis + 2] + 1;
            return (size + padding[2 * axis] + padding[2 * axis + 1] - extent) / stride[axis + 2] +
                   1;
        };
        return {x.size(0), weight.size(0), along(0, x.size(2)), along(1, x.size(3))};
    }
    IntList sampled_sizes(const Tensor& x, const IntList& output) const {
        return {x.size(0), x.size(1), output[2] * kernel[0], output[3] * kernel[1]};
    }

    void check(const Tensor& x, const Tensor& weight, const Tensor& offset) const {
        check_attributes();
        require(x.dim() == 4 && weight.dim() == 4 && offset.dim() == 4,
                "x, weight and offset must have 4 dimensions");
        require(x.dtype() == DType::float32 || x.dtype() == DType::float16 ||
                    x.dtype() == DType::bfloat16,
                std::string("x must be float32, float16 or bfloat16, got ") + name_of(x.dtype()));
        require(x.size(1) % groups == 0 && weight.size(0) % groups == 0 &&
                    x.size(1) % deformable_groups == 0,
                "the channels must be multiples of groups and deformableGroups");
        require(kernel[0] * kernel[1] * (x.size(1) / groups) <= 65535,
                "kernelSize must have at most 65535 taps with the channels of a group");
        check_operand("weight", weight, x,
                      {weight.size(0), x.size(1) / groups, kernel[0], kernel[1]});
        const IntList output = output_sizes(x, weight);
        check_operand(
            "offset", offset, x,
            {x.size(0), 3 * deformable_groups * kernel[0] * kernel[1], output[2], output[3]});
    }
    static void check_operand(const char* name, const Tensor& tensor, const Tensor& x,
                              const IntList& sizes) {
        require(!tensor.defined() || (tensor.dtype() == x.dtype() && tensor.sizes() == sizes),
                std::string(name) + " must be " + name_of(x.dtype()) + " and " + text(sizes));
    }

  private:
    void check_attributes() const {
        require(
            kernel.size() == 2 && stride.size() == 4 && padding.size() == 4 && dilation.size() == 4,
            "kernelSize must have 2 elements, and stride, padding and dilation 4");
        for (const IntList* values : {&kernel, &stride, &dilation}) {
            require(std::all_of(values->begin(), values->end(), [](Int n) { return n > 0; }),
                    "kernelSize, stride and dilation must be positive, got " + text(*values));
        }
        require(stride[0] == 1 && stride[1] == 1 && dilation[0] == 1 && dilation[1] == 1,
                "stride and dilation must be 1 for N and C");
        require(kernel[0] * kernel[1] <= 2048,
                "kernelSize must have at most 2048 taps, got " + text(kernel));
        require(groups > 0 && deformable_groups > 0,
                "groups and deformableGroups must be positive");
        require(modulated, "modulated must be true");
    }
    static std::string text(const IntList& values) {
        std::string joined;
        for (const Int value : values) {
            joined += (joined.empty() ? "[" : ", ") + std::to_string(value);
        }
        return joined + "]";
    }
};

Tensor float_elements(const Tensor& x) { return x.to_float().contiguous(); }

}  // namespace

ACLNN_CHECKED(aclnnDeformableConv2d, Tensor x, Tensor weight, Tensor offset, Optional<Tensor> bias,
              Ints kernelSize, Ints stride, Ints padding, Ints dilation, Int groups,
              Int deformableGroups, bool modulated, Out out, Optional<Out> deformOut) {
    require_ascend910b_910_93_or_950();
    const DeformableConvolution convolution = {kernelSize, stride,           padding,  dilation,
                                               groups,     deformableGroups, modulated};
    convolution.check(x, weight, offset);
    const IntList output = convolution.output_sizes(x, weight);
    DeformableConvolution::check_operand("bias", bias, x, {weight.size(0)});
    DeformableConvolution::check_operand("out", out.tensor, x, output);
    DeformableConvolution::check_operand("deformOut", deformOut.tensor, x,
                                         convolution.sampled_sizes(x, output));
    const Tensor samples = convolution.offsets().sample(float_elements(x), float_elements(offset));
    out =
        aten("convolution", samples, weight.to_float(), bias.defined() ? bias.to_float() : Tensor(),
             kernelSize, IntList{0, 0}, IntList{1, 1}, false, IntList{0, 0}, groups);
    deformOut = samples;
}

ACLNN_CHECKED(aclnnDeformableConv2dBackward, Tensor input, Tensor gradOutput, Tensor offsetOut,
              Tensor weight, Tensor offset, Ints kernelSize, Ints stride, Ints padding,
              Ints dilation, Int groups, Int deformableGroups, bool modulated, Out gradInput,
              Out gradWeight, Out gradOffset, Out gradBias) {
    require_ascend950();
    const DeformableConvolution convolution = {kernelSize, stride,           padding,  dilation,
                                               groups,     deformableGroups, modulated};
    convolution.check(input, weight, offset);
    const IntList output = convolution.output_sizes(input, weight);
    DeformableConvolution::check_operand("gradOutput", gradOutput, input, output);
    DeformableConvolution::check_operand("offsetOut", offsetOut, input,
                                         convolution.sampled_sizes(input, output));
    const TensorList grads =
        aten_all("convolution_backward", gradOutput.to_float(), offsetOut.to_float(),
                 weight.to_float(), IntList{weight.size(0)}, kernelSize, IntList{0, 0},
                 IntList{1, 1}, false, IntList{0, 0}, groups, BoolList{true, true, true});
    const DeformableOffsets::Gradients found = convolution.offsets().gradients(
        grads[0].contiguous(), float_elements(input), float_elements(offset));
    gradInput = found.x;
    gradWeight = grads[1];
    gradOffset = found.offsets;
    gradBias = grads[2];
}
