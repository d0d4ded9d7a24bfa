// ROIAlign (arXiv 1703.06870) and its gradient.
#pragma once

#include "emulator/aten/value.h"

namespace ascend_emulator {

struct RoiGrid {
    std::int64_t height, width;  // of the feature map
    std::int64_t rows, columns;  // of the result
    std::int64_t samples;        // per bin and axis; 0: by the size of the region
    double scale;
    bool inclusive;  // the last pixel belongs to the region
};

/// Throws unless roi_end_mode is 0 or 1, which is inclusive.
void check_roi_end_mode(double mode);

/// features [N, C, H, W], regions [R, 5] of (index, x1, y1, x2, y2) -> [R, C, rows, columns]
Tensor roi_align(const Tensor& features, const Tensor& regions, const RoiGrid& grid);

/// The gradient of the features, of the given sizes.
Tensor roi_align_backward(const Tensor& grad, const Tensor& regions, const IntList& sizes,
                          const RoiGrid& grid);

}  // namespace ascend_emulator
