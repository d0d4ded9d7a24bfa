// The samples of deformable convolutions, which torch_npu calls as single operators on an Ascend
// 910B. The operands are NHWC.
#include "emulator/ops/deformable_offsets.h"

#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

DeformableOffsets offsets_of(const SingleOpOperands& operands) {
    operands.accept_attributes(
        {"ksize", "strides", "pads", "dilations", "deformable_groups", "data_format", "modulated"});
    const std::string layout = operands.text("data_format", "NHWC");
    require(layout == "NHWC", "data_format must be NHWC, got " + layout);
    require(operands.flag("modulated", true), "modulated must be true");
    const IntList kernel = operands.ints("ksize");
    const IntList strides = operands.ints("strides");
    const IntList pads = operands.ints("pads");
    const IntList dilations = operands.ints("dilations");
    require(kernel.size() == 2 && strides.size() == 4 && pads.size() == 4 && dilations.size() == 4,
            "ksize must have 2 elements, and strides, pads and dilations 4");
    return {{kernel[0], kernel[1]},
            {strides[1], strides[2]},
            {pads[0], pads[2]},
            {dilations[1], dilations[2]},
            static_cast<Int>(operands.number("deformable_groups", 1))};
}

void check_offsets(const DeformableOffsets& how, const Tensor& x, const Tensor& offsets) {
    require(how.groups > 0 && x.dim() == 4 && offsets.dim() == 4 && x.size(3) % how.groups == 0 &&
                offsets.size(0) == x.size(0) && offsets.size(3) == 3 * how.groups * how.taps(),
            "offsets must have 3 channels per tap and deformable group");
}

Tensor channels_first(const Tensor& x) { return x.to_float().permute({0, 3, 1, 2}).contiguous(); }
Tensor channels_last(const Tensor& x) { return x.permute({0, 2, 3, 1}); }

}  // namespace

/// x, offsets -> samples
SINGLE_OP(DeformableOffsets) {
    const DeformableOffsets how = offsets_of(operands);
    check_offsets(how, operands.input(0), operands.input(1));
    operands.output(0) = channels_last(
        how.sample(channels_first(operands.input(0)), channels_first(operands.input(1))));
}

/// grad of the samples, x, offsets -> grad of x, grad of offsets
SINGLE_OP(DeformableOffsetsGrad) {
    const DeformableOffsets how = offsets_of(operands);
    check_offsets(how, operands.input(1), operands.input(2));
    const DeformableOffsets::Gradients found =
        how.gradients(channels_first(operands.input(0)), channels_first(operands.input(1)),
                      channels_first(operands.input(2)));
    operands.output(0) = channels_last(found.x);
    operands.output(1) = channels_last(found.offsets);
}
