// Convolution, pooling, padding and resampling.
#include <algorithm>

#include "emulator/aclnn/operation.h"
#include "emulator/ops/indices.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnAdaptiveAvgPool2d,              "adaptive_avg_pool2d",                Tensor, Ints, Out)
ATEN(aclnnAdaptiveAvgPool2dBackward,      "_adaptive_avg_pool2d_backward",      Tensor, Tensor, Out)
ATEN(aclnnAdaptiveAvgPool3d,              "adaptive_avg_pool3d",                Tensor, Ints, Out)
ATEN(aclnnAdaptiveAvgPool3dBackward,      "_adaptive_avg_pool3d_backward",      Tensor, Tensor, Out)
ATEN(aclnnAdaptiveMaxPool2d,              "adaptive_max_pool2d",                Tensor, Ints, Out, Out)
ATEN(aclnnAdaptiveMaxPool3d,              "adaptive_max_pool3d",                Tensor, Ints, Out, Out)
ATEN(aclnnChannelShuffle,                 "channel_shuffle",                    Tensor, Int, Out)
ATEN(aclnnConstantPadNd,                  "constant_pad_nd",                    Tensor, Ints, Scalar, Out)
ATEN(aclnnIm2col,                         "im2col",                             Tensor, Ints, Ints, Ints, Ints, Out)
ATEN(aclnnMaxPool2dWithIndices,           "max_pool2d_with_indices",            Tensor, Ints, Ints, Ints, Ints, bool, Out, Out)
ATEN(aclnnMaxUnpool2d,                    "max_unpool2d",                       Tensor, Tensor, Ints, Out)
ATEN(aclnnMaxUnpool3d,                    "max_unpool3d",                       Tensor, Tensor, Ints, Ints, Ints, Out)
ATEN(aclnnReflectionPad1d,                "reflection_pad1d",                   Tensor, Ints, Out)
ATEN(aclnnReflectionPad1dBackward,        "reflection_pad1d_backward",          Tensor, Tensor, Ints, Out)
ATEN(aclnnReflectionPad2d,                "reflection_pad2d",                   Tensor, Ints, Out)
ATEN(aclnnReflectionPad2dBackward,        "reflection_pad2d_backward",          Tensor, Tensor, Ints, Out)
ATEN(aclnnReflectionPad3d,                "reflection_pad3d",                   Tensor, Ints, Out)
ATEN(aclnnReflectionPad3dBackward,        "reflection_pad3d_backward",          Tensor, Tensor, Ints, Out)
ATEN(aclnnReplicationPad1d,               "replication_pad1d",                  Tensor, Ints, Out)
ATEN(aclnnReplicationPad1dBackward,       "replication_pad1d_backward",         Tensor, Tensor, Ints, Out)
ATEN(aclnnReplicationPad2d,               "replication_pad2d",                  Tensor, Ints, Out)
ATEN(aclnnReplicationPad2dBackward,       "replication_pad2d_backward",         Tensor, Tensor, Ints, Out)
ATEN(aclnnReplicationPad3d,               "replication_pad3d",                  Tensor, Ints, Out)
ATEN(aclnnReplicationPad3dBackward,       "replication_pad3d_backward",         Tensor, Tensor, Ints, Out)
ATEN(aclnnUpsampleBicubic2d,              "upsample_bicubic2d",                 Tensor, Ints, bool, double, double, Out)
ATEN(aclnnUpsampleBicubic2dAA,            "_upsample_bicubic2d_aa",             Tensor, Ints, bool, double, double, Out)
ATEN(aclnnUpsampleBicubic2dAAGrad,        "_upsample_bicubic2d_aa_backward",    Tensor, Ints, Ints, bool, double, double, Out)
ATEN(aclnnUpsampleBicubic2dBackward,      "upsample_bicubic2d_backward",        Tensor, Ints, Ints, bool, double, double, Out)
ATEN(aclnnUpsampleBilinear2d,             "upsample_bilinear2d",                Tensor, Ints, bool, double, double, Out)
ATEN(aclnnUpsampleBilinear2dAA,           "_upsample_bilinear2d_aa",            Tensor, Ints, bool, double, double, Out)
ATEN(aclnnUpsampleBilinear2dAABackward,   "_upsample_bilinear2d_aa_backward",   Tensor, Ints, Ints, bool, double, double, Out)
ATEN(aclnnUpsampleBilinear2dBackward,     "upsample_bilinear2d_backward",       Tensor, Ints, Ints, bool, double, double, Out)
ATEN(aclnnUpsampleBilinear2dBackwardV2,   "upsample_bilinear2d_backward",       Tensor, Ints, Ints, bool, double, double, Out)
ATEN(aclnnUpsampleLinear1dBackward,       "upsample_linear1d_backward",         Tensor, Ints, Ints, bool, double, Out)
ATEN(aclnnUpsampleNearest1d,              "upsample_nearest1d",                 Tensor, Ints, Out)
ATEN(aclnnUpsampleNearest1dBackward,      "upsample_nearest1d_backward",        Tensor, Ints, Ints, double, Out)
ATEN(aclnnUpsampleNearest2d,              "upsample_nearest2d",                 Tensor, Ints, Out)
ATEN(aclnnUpsampleNearest2dBackward,      "upsample_nearest2d_backward",        Tensor, Ints, Ints, double, double, Out)
ATEN(aclnnUpsampleNearest2dV2,            "upsample_nearest2d",                 Tensor, Ints, float, float, Out)
ATEN(aclnnUpsampleNearest3d,              "upsample_nearest3d",                 Tensor, Ints, double, double, double, Out)
ATEN(aclnnUpsampleNearest3dBackward,      "upsample_nearest3d_backward",        Tensor, Ints, Ints, double, double, double, Out)
ATEN(aclnnUpsampleNearestExact1dBackward, "_upsample_nearest_exact1d_backward", Tensor, Ints, Ints, double, Out)
ATEN(aclnnUpsampleNearestExact2d,         "_upsample_nearest_exact2d",          Tensor, Ints, double, double, Out)
ATEN(aclnnUpsampleNearestExact2dBackward, "_upsample_nearest_exact2d_backward", Tensor, Ints, Ints, double, double, Out)
ATEN(aclnnUpsampleNearestExact3d,         "_upsample_nearest_exact3d",          Tensor, Ints, double, double, double, Out)
ATEN(aclnnUpsampleNearestExact3dBackward, "_upsample_nearest_exact3d_backward", Tensor, Ints, Ints, double, double, double, Out)
ATEN(aclnnUpsampleTrilinear3d,            "upsample_trilinear3d",               Tensor, Ints, bool, double, double, double, Out)
ATEN(aclnnUpsampleTrilinear3dBackward,    "upsample_trilinear3d_backward",      Tensor, Ints, Ints, bool, double, double, double, Out)
ATEN(aclnnGridSampler2D,                  "grid_sampler_2d",                    Tensor, Tensor, Int, Int, bool, Out)
ATEN(aclnnGridSampler2DBackward,          "grid_sampler_2d_backward",           Tensor, Tensor, Tensor, Int, Int, bool, Bools, Out, Out)
ATEN(aclnnGridSampler3D,                  "grid_sampler_3d",                    Tensor, Tensor, Int, Int, bool, Out)
ATEN(aclnnGridSampler3DBackward,          "grid_sampler_3d_backward",           Tensor, Tensor, Tensor, Int, Int, bool, Bools, Out, Out)
ATEN(aclnnMaxPool3dWithArgmax,            "max_pool3d_with_indices",            Tensor, Ints, Ints, Ints, Ints, bool, Out, Out)
ATEN(aclnnUpsampleLinear1d,               "upsample_linear1d",                  Tensor, Ints, bool, double, Out)
ATEN(aclnnUpsampleNearest1dV2,            "upsample_nearest1d",                 Tensor, Ints, float, Out)
ATEN(aclnnUpsampleNearestExact1d,         "_upsample_nearest_exact1d",          Tensor, Ints, double, Out)
// clang-format on

namespace {

Value divisor(Int value) { return value == 0 ? Value() : Value(value); }

}  // namespace

namespace {

/// The padding of a convolution. CANN takes four values for one of 2 dimensions, before and after
/// the rows and the columns, of which ATen takes what is equal on both sides; the rest pads x
/// itself.
class Padding {
  public:
    Padding(const Ints& given, const Tensor& x, bool transposed) : both_(given) {
        if (given.size() != 4 || x.dim() != 4) {
            return;
        }
        require(!transposed || (given[0] == given[1] && given[2] == given[3]),
                "padding must be equal on both sides if transposed is true");
        both_ = {std::min(given[0], given[1]), std::min(given[2], given[3])};
        more_ = {given[2] - both_[1], given[3] - both_[1], given[0] - both_[0],
                 given[1] - both_[0]};
        is_uneven_ = given[0] != given[1] || given[2] != given[3];
    }
    const Ints& both() const { return both_; }
    Tensor pad(const Tensor& x) const {
        return is_uneven_ ? aten("constant_pad_nd", x, more_, 0.0) : x;
    }
    /// The part of the gradient that belongs to x.
    Tensor crop(const Tensor& grad) const {
        const Ints less{-more_[0], -more_[1], -more_[2], -more_[3]};
        return is_uneven_ && grad.defined() ? aten("constant_pad_nd", grad, less, 0.0) : grad;
    }

  private:
    Ints both_;
    Ints more_{0, 0, 0, 0};
    bool is_uneven_ = false;
};

}  // namespace

ACLNN_CHECKED(aclnnConvolution, Tensor x, Tensor weight, Optional<Tensor> bias, Ints stride,
              Ints padding, Ints dilation, bool transposed, Ints output_padding, Int groups,
              Out out, CubeMathType) {
    const Padding sides(padding, x, transposed);
    out = aten("convolution", sides.pad(x), weight, bias, stride, sides.both(), dilation,
               transposed, output_padding, groups);
}
ACLNN_CHECKED(aclnnConvolutionBackward, Tensor grad, Tensor x, Tensor weight,
              OptionalInts bias_sizes, Ints stride, Ints padding, Ints dilation, bool transposed,
              Ints output_padding, Int32 groups, Bools mask, CubeMathType, Optional<Out> grad_x,
              Optional<Out> grad_weight, Optional<Out> grad_bias) {
    const Padding sides(padding, x, transposed);
    const TensorList grads =
        aten_all("convolution_backward", grad, sides.pad(x), weight, bias_sizes.value(), stride,
                 sides.both(), dilation, transposed, output_padding, groups, mask);
    grad_x = sides.crop(grads[0]);
    grad_weight = grads[1];
    grad_bias = grads[2];
}
ACLNN(aclnnAvgPool2d, Tensor x, Ints kernel, Ints stride, Ints padding, bool ceil_mode,
      bool count_padding, Int divisor_override, CubeMathType, Out out) {
    out = aten("avg_pool2d", x, kernel, stride, padding, ceil_mode, count_padding,
               divisor(divisor_override));
}
ACLNN(aclnnAvgPool2dBackward, Tensor grad, Tensor x, Ints kernel, Ints stride, Ints padding,
      bool ceil_mode, bool count_padding, Int divisor_override, CubeMathType, Out out) {
    out = aten("avg_pool2d_backward", grad, x, kernel, stride, padding, ceil_mode, count_padding,
               divisor(divisor_override));
}
ACLNN(aclnnAvgPool3d, Tensor x, Ints kernel, Ints stride, Ints padding, bool ceil_mode,
      bool count_padding, Int divisor_override, Out out) {
    out = aten("avg_pool3d", x, kernel, stride, padding, ceil_mode, count_padding,
               divisor(divisor_override));
}
ACLNN(aclnnAvgPool3dBackward, Tensor grad, Tensor x, Ints kernel, Ints stride, Ints padding,
      bool ceil_mode, bool count_padding, Int divisor_override, Out out) {
    out = aten("avg_pool3d_backward", grad, x, kernel, stride, padding, ceil_mode, count_padding,
               divisor(divisor_override));
}

namespace {

/// The indices of maxima in the last `rank` dimensions of x.
Tensor maxima(const Tensor& indices, const Tensor& x, Int rank) {
    Int count = 1;
    for (Int i = 1; i <= rank; ++i) {
        count *= x.size(-i);
    }
    return checked_indices("indices", indices, count);
}

}  // namespace

ACLNN(aclnnAdaptiveMaxPool2dBackward, Tensor grad, Tensor x, Tensor indices, Out out) {
    out = aten("adaptive_max_pool2d_backward", grad, x, maxima(indices, x, 2));
}
ACLNN(aclnnAdaptiveMaxPool3dBackward, Tensor grad, Tensor x, Tensor indices, Out out) {
    out = aten("adaptive_max_pool3d_backward", grad, x, maxima(indices, x, 3));
}
ACLNN(aclnnMaxPool2dWithIndicesBackward, Tensor grad, Tensor x, Tensor indices, Ints kernel,
      Ints stride, Ints padding, Ints dilation, bool ceil_mode, Out out) {
    out = aten("max_pool2d_with_indices_backward", grad, x, kernel, stride, padding, dilation,
               ceil_mode, maxima(indices, x, 2));
}
ACLNN(aclnnMaxPool3dWithArgmaxBackward, Tensor grad, Tensor x, Tensor indices, Ints kernel,
      Ints stride, Ints padding, Ints dilation, bool ceil_mode, Out out) {
    out = aten("max_pool3d_with_indices_backward", grad, x, kernel, stride, padding, dilation,
               ceil_mode, maxima(indices, x, 3));
}
// The mask is unused, as a device's has a private layout. Only the gradient reads it, and here the
// gradient is computed from x.
ACLNN(aclnnMaxPool2dWithMask, Tensor x, Ints kernel, Ints stride, Ints padding, Ints dilation,
      bool ceil_mode, Out out, Unused<Out>) {
    out = aten("max_pool2d_with_indices", x, kernel, stride, padding, dilation, ceil_mode);
}
ACLNN(aclnnMaxPool2dWithMaskBackward, Tensor grad, Tensor x, Unused<Tensor>, Ints kernel,
      Ints stride, Ints padding, Ints dilation, bool ceil_mode, Out out) {
    const TensorList found =
        aten_all("max_pool2d_with_indices", x, kernel, stride, padding, dilation, ceil_mode);
    out = aten("max_pool2d_with_indices_backward", grad, x, kernel, stride, padding, dilation,
               ceil_mode, found[1]);
}
