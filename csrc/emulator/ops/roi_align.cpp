#include "emulator/ops/roi_align.h"

#include <algorithm>
#include <cmath>

#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

namespace ascend_emulator {
namespace {

/// The places along one axis that a sample reads, and their weights.
struct Interpolation {
    Int low = 0, high = 0;
    double low_weight = 0, high_weight = 0;

    Interpolation(double at, Int size) {
        if (at < -1 || at > static_cast<double>(size)) {
            return;
        }
        at = std::max(at, 0.0);
        low = std::min(static_cast<Int>(at), size - 1);
        high = std::min(low + 1, size - 1);
        high_weight = low == high ? 0 : at - static_cast<double>(low);
        low_weight = 1 - high_weight;
    }
};

/// The samples of bin `index` of `bins`, between `begin` and `end`.
std::vector<Interpolation> samples_of(double begin, double end, Int index, Int bins, Int count,
                                      Int size) {
    const double bin = std::max(end - begin, 1.0) / static_cast<double>(bins);
    const Int samples = count > 0 ? count : static_cast<Int>(std::ceil(bin));
    std::vector<Interpolation> result;
    for (Int i = 0; i < samples; ++i) {
        const double part = (static_cast<double>(i) + 0.5) / static_cast<double>(samples);
        result.emplace_back(begin + (static_cast<double>(index) + part) * bin, size);
    }
    return result;
}

/// Call `visit(pixel, weight)` for what one bin of a region (index, x1, y1, x2, y2) reads.
template <class Visit>
void each_pixel(const RoiGrid& grid, const float* region, Int row, Int column, Visit visit) {
    const double end = grid.inclusive ? 1 : 0;
    const auto rows = samples_of(region[2] * grid.scale, (region[4] + end) * grid.scale, row,
                                 grid.rows, grid.samples, grid.height);
    const auto columns = samples_of(region[1] * grid.scale, (region[3] + end) * grid.scale, column,
                                    grid.columns, grid.samples, grid.width);
    const double share = 1.0 / static_cast<double>(rows.size() * columns.size());
    for (const Interpolation& y : rows) {
        for (const Interpolation& x : columns) {
            visit(y.low * grid.width + x.low, y.low_weight * x.low_weight * share);
            visit(y.low * grid.width + x.high, y.low_weight * x.high_weight * share);
            visit(y.high * grid.width + x.low, y.high_weight * x.low_weight * share);
            visit(y.high * grid.width + x.high, y.high_weight * x.high_weight * share);
        }
    }
}

/// Call `visit(map, bin, pixel, weight)` for each read of each channel; `map` and `bin` are offsets
/// of a channel of the features [N, C, H, W] and of an element of the result [R, C, rows, columns].
template <class Visit>
void each_read(const RoiGrid& grid, const Tensor& regions, Int channels, Visit visit) {
    const auto* region = static_cast<const float*>(regions.data());
    Int bin = 0;
    for (Int r = 0; r < regions.size(0); ++r, region += 5) {
        for (Int channel = 0; channel < channels; ++channel) {
            const Int map =
                (static_cast<Int>(region[0]) * channels + channel) * grid.height * grid.width;
            for (Int i = 0; i < grid.rows * grid.columns; ++i, ++bin) {
                each_pixel(grid, region, i / grid.columns, i % grid.columns,
                           [&](Int pixel, double weight) { visit(map + pixel, bin, weight); });
            }
        }
    }
}

Tensor floats(const Tensor& x) { return x.to_float().contiguous(); }

}  // namespace

void check_roi_end_mode(double mode) {
    require(mode == 0 || mode == 1, "roi_end_mode must be 0 or 1; others are not emulated");
}

Tensor roi_align(const Tensor& x, const Tensor& boxes, const RoiGrid& grid) {
    const Tensor features = floats(x);
    const Tensor regions = floats(boxes);
    const Tensor y = full({regions.size(0), features.size(1), grid.rows, grid.columns}, Scalar{0.0},
                          DType::float32);
    const auto* from = static_cast<const float*>(features.data());
    auto* to = static_cast<float*>(y.data());
    each_read(grid, regions, features.size(1), [&](Int pixel, Int bin, double weight) {
        to[bin] += static_cast<float>(weight * from[pixel]);
    });
    return y;
}

Tensor roi_align_backward(const Tensor& dy, const Tensor& boxes, const IntList& sizes,
                          const RoiGrid& grid) {
    const Tensor grad = floats(dy);
    const Tensor dx = full(sizes, Scalar{0.0}, DType::float32);
    const auto* from = static_cast<const float*>(grad.data());
    auto* to = static_cast<float*>(dx.data());
    each_read(grid, floats(boxes), sizes[1], [&](Int pixel, Int bin, double weight) {
        to[pixel] += static_cast<float>(weight * from[bin]);
    });
    return dx;
}

}  // namespace ascend_emulator

using namespace ascend_emulator;

namespace {

void check_regions(const Tensor& features, const Tensor& regions, Int end_mode) {
    check_roi_end_mode(static_cast<double>(end_mode));
    require(features.dim() == 4, "self must be [N, C, H, W]");
    require(regions.dim() == 2 && regions.size(1) == 5, "rois must be [R, 5]");
}

}  // namespace

ACLNN_CHECKED(aclnnROIAlign, Tensor self, Tensor rois, float scale, Int rows, Int columns,
              Int samples, Int end_mode, Out out) {
    check_regions(self, rois, end_mode);
    out = roi_align(self, rois,
                    {self.size(2), self.size(3), rows, columns, samples, scale, end_mode == 1});
}
ACLNN_CHECKED(aclnnROIAlignBackward, Tensor grad, Tensor rois, Ints sizes, Int columns, Int rows,
              float scale, Int samples, Int end_mode, Out out) {
    check_regions(grad, rois, end_mode);
    require(sizes.size() == 4, "xdiff_shape must have 4 elements");
    out = roi_align_backward(grad, rois, sizes,
                             {sizes[2], sizes[3], rows, columns, samples, scale, end_mode == 1});
}
