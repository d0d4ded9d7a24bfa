// ROIAlign as single operators.
#include "emulator/ops/roi_align.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

RoiGrid grid_of(const SingleOpOperands& operands, Int height, Int width) {
    return {height,
            width,
            static_cast<Int>(operands.number("pooled_height")),
            static_cast<Int>(operands.number("pooled_width")),
            static_cast<Int>(operands.number("sample_num", 2)),
            operands.number("spatial_scale"),
            operands.number("roi_end_mode", 1) == 1};
}

void accept(const SingleOpOperands& operands) {
    operands.accept_attributes({"spatial_scale", "pooled_height", "pooled_width", "sample_num",
                                "roi_end_mode", "xdiff_shape"});
    check_roi_end_mode(operands.number("roi_end_mode", 1));
}

}  // namespace

// features [N, C, H, W], regions [R, 5] -> [R, C, pooled_height, pooled_width]
SINGLE_OP(ROIAlign) {
    accept(operands);
    const Tensor features = operands.input(0);
    operands.output(0) = roi_align(features, operands.input(1),
                                   grid_of(operands, features.size(2), features.size(3)));
}

// grad, regions -> gradient of the features
SINGLE_OP(ROIAlignGrad) {
    accept(operands);
    const IntList sizes = operands.output(0).tensor.sizes();
    operands.output(0) = roi_align_backward(operands.input(0), operands.input(1), sizes,
                                            grid_of(operands, sizes.at(2), sizes.at(3)));
}
