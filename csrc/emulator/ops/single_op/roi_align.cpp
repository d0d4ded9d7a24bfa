// ROIAlign (arXiv 1703.06870) and its gradient.
#include <algorithm>
#include <cmath>

#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

struct Grid {
    Int height, width;  // of the feature map
    Int rows, columns;  // of the result
    Int samples;        // per bin and axis; 0: by the size of the region
    double scale;
    bool inclusive;  // the last pixel belongs to the region

    explicit Grid(const SingleOpOperands& operands, Int its_height, Int its_width)
        : height(its_height),
          width(its_width),
          rows(static_cast<Int>(operands.number("pooled_height"))),
          columns(static_cast<Int>(operands.number("pooled_width"))),
          samples(static_cast<Int>(operands.number("sample_num", 2))),
          scale(operands.number("spatial_scale")),
          inclusive(operands.number("roi_end_mode", 1) == 1) {}
};

void accept(const SingleOpOperands& operands) {
    operands.accept_attributes({"spatial_scale", "pooled_height", "pooled_width", "sample_num",
                                "roi_end_mode", "xdiff_shape"});
    const double mode = operands.number("roi_end_mode", 1);
    require(mode == 0 || mode == 1, "roi_end_mode must be 0 or 1; others are not emulated");
}

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
void each_pixel(const Grid& grid, const float* region, Int row, Int column, Visit visit) {
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
void each_read(const Grid& grid, const Tensor& regions, Int channels, Visit visit) {
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

// features [N, C, H, W], regions [R, 5] -> [R, C, pooled_height, pooled_width]
SINGLE_OP(ROIAlign) {
    accept(operands);
    const Tensor features = floats(operands.input(0));
    const Grid grid(operands, features.size(2), features.size(3));
    const Tensor regions = floats(operands.input(1));
    const Tensor y = full({regions.size(0), features.size(1), grid.rows, grid.columns}, Scalar{0.0},
                          DType::float32);
    const auto* from = static_cast<const float*>(features.data());
    auto* to = static_cast<float*>(y.data());
    each_read(grid, regions, features.size(1), [&](Int pixel, Int bin, double weight) {
        to[bin] += static_cast<float>(weight * from[pixel]);
    });
    operands.output(0) = y;
}

// grad, regions -> gradient of the features
SINGLE_OP(ROIAlignGrad) {
    accept(operands);
    const IntList sizes = operands.output(0).tensor.sizes();
    const Grid grid(operands, sizes.at(2), sizes.at(3));
    const Tensor grad = floats(operands.input(0));
    const Tensor dx = full(sizes, Scalar{0.0}, DType::float32);
    const auto* from = static_cast<const float*>(grad.data());
    auto* to = static_cast<float*>(dx.data());
    each_read(grid, floats(operands.input(1)), sizes[1], [&](Int pixel, Int bin, double weight) {
        to[pixel] += static_cast<float>(weight * from[bin]);
    });
    operands.output(0) = dx;
}
