#include "emulator/ops/deformable_offsets.h"

#include <cmath>

namespace ascend_emulator {
namespace {

/// The four pixels around a place, with the weights of the linear interpolation.
struct Place {
    bool inside = false;  // at least one pixel is
    Int row = 0, column = 0;
    float below = 0, right = 0;  // the weights of the second row and of the second column

    Place(float y, float x, Int height, Int width) {
        // A comparison with NaN is false.
        inside =
            y > -1 && y < static_cast<float>(height) && x > -1 && x < static_cast<float>(width);
        if (inside) {
            row = static_cast<Int>(std::floor(y));
            column = static_cast<Int>(std::floor(x));
            below = y - static_cast<float>(row);
            right = x - static_cast<float>(column);
        }
    }
};

/// One channel of an image.
struct Plane2d {
    Int height;
    Int width;
    bool has(Int row, Int column) const {
        return row >= 0 && row < height && column >= 0 && column < width;
    }
    float at(const float* x, Int row, Int column) const {
        return has(row, column) ? x[row * width + column] : 0;
    }
    void add(float* x, Int row, Int column, float value) const {
        if (has(row, column)) {
            x[row * width + column] += value;
        }
    }
};

/// Visits each sample of each channel, in order.
class Samples {
  public:
    Samples(const DeformableOffsets& how, const Tensor& x, const Tensor& offsets)
        : how_(how),
          batch_(x.size(0)),
          channels_(x.size(1)),
          plane_{x.size(2), x.size(3)},
          rows_(offsets.size(2)),
          columns_(offsets.size(3)) {}

    const Plane2d& plane() const { return plane_; }
    IntList sampled_sizes() const {
        return {batch_, channels_, rows_ * how_.kernel[0], columns_ * how_.kernel[1]};
    }

    /// Call visit(place, channel's offset in x, sample's index, offsets' indices of column, row and
    /// factor).
    template <class Visit>
    void each(const float* offsets, Visit visit) const {
        const Int per_output = rows_ * columns_;
        for (Int n = 0; n < batch_; ++n) {
            for (Int i = 0; i < how_.groups * how_.taps(); ++i) {
                for (Int at = 0; at < per_output; ++at) {
                    visit_place(n, i, at, offsets, visit);
                }
            }
        }
    }

  private:
    template <class Visit>
    void visit_place(Int n, Int i, Int at, const float* offsets, Visit visit) const {
        const Int per_output = rows_ * columns_;
        const Int all = how_.groups * how_.taps();
        const Int first = (n * 3 * all + i) * per_output + at;
        const Int places[] = {first, first + all * per_output, first + 2 * all * per_output};
        const Int tap[] = {i % how_.taps() / how_.kernel[1], i % how_.kernel[1]};
        const Int output[] = {at / columns_, at % columns_};
        const auto coordinate = [&](Int axis) {
            return static_cast<float>(output[axis] * how_.stride[axis] - how_.padding[axis] +
                                      tap[axis] * how_.dilation[axis]);
        };
        const Place place(coordinate(0) + offsets[places[1]], coordinate(1) + offsets[places[0]],
                          plane_.height, plane_.width);
        const Int per_group = channels_ / how_.groups;
        const Int width = columns_ * how_.kernel[1];
        const Int inner =
            (output[0] * how_.kernel[0] + tap[0]) * width + output[1] * how_.kernel[1] + tap[1];
        for (Int c = i / how_.taps() * per_group; c < (i / how_.taps() + 1) * per_group; ++c) {
            const Int channel = n * channels_ + c;
            visit(place, channel * plane_.height * plane_.width,
                  channel * rows_ * how_.kernel[0] * width + inner, places);
        }
    }

    const DeformableOffsets& how_;
    Int batch_;
    Int channels_;
    Plane2d plane_;
    Int rows_;
    Int columns_;
};

Tensor zeros(const IntList& sizes) { return full(sizes, Scalar{0.0}, DType::float32); }
const float* elements(const Tensor& x) { return static_cast<const float*>(x.data()); }
float* writable(const Tensor& x) { return static_cast<float*>(x.data()); }

/// The pixels around a place.
struct Pixels {
    float top_left, top_right, bottom_left, bottom_right;

    Pixels(const Plane2d& plane, const float* x, const Place& at)
        : top_left(plane.at(x, at.row, at.column)),
          top_right(plane.at(x, at.row, at.column + 1)),
          bottom_left(plane.at(x, at.row + 1, at.column)),
          bottom_right(plane.at(x, at.row + 1, at.column + 1)) {}

    float top(float right) const { return top_left * (1 - right) + top_right * right; }
    float bottom(float right) const { return bottom_left * (1 - right) + bottom_right * right; }
    float value(const Place& at) const {
        return top(at.right) * (1 - at.below) + bottom(at.right) * at.below;
    }
    /// By the row and by the column.
    float by_row(const Place& at) const { return bottom(at.right) - top(at.right); }
    float by_column(const Place& at) const {
        return (top_right - top_left) * (1 - at.below) + (bottom_right - bottom_left) * at.below;
    }
};

}  // namespace

Tensor DeformableOffsets::sample(const Tensor& x, const Tensor& offsets) const {
    const Samples samples(*this, x, offsets);
    Tensor sampled = zeros(samples.sampled_sizes());
    const float* pixels = elements(x);
    const float* moved = elements(offsets);
    float* to = writable(sampled);
    samples.each(moved, [&](const Place& at, Int channel, Int sample, const Int* places) {
        if (at.inside) {
            to[sample] = Pixels(samples.plane(), pixels + channel, at).value(at) * moved[places[2]];
        }
    });
    return sampled;
}

DeformableOffsets::Gradients DeformableOffsets::gradients(const Tensor& grad, const Tensor& x,
                                                          const Tensor& offsets) const {
    const Samples samples(*this, x, offsets);
    Gradients found = {zeros(x.sizes()), zeros(offsets.sizes())};
    const float* dy = elements(grad);
    const float* pixels = elements(x);
    const float* moved = elements(offsets);
    float* dx = writable(found.x);
    float* d_offset = writable(found.offsets);
    const Plane2d& plane = samples.plane();
    samples.each(moved, [&](const Place& at, Int channel, Int sample, const Int* places) {
        if (!at.inside) {
            return;
        }
        const Pixels corners(plane, pixels + channel, at);
        const float scaled = dy[sample] * moved[places[2]];
        d_offset[places[0]] += scaled * corners.by_column(at);
        d_offset[places[1]] += scaled * corners.by_row(at);
        d_offset[places[2]] += dy[sample] * corners.value(at);
        float* to = dx + channel;
        plane.add(to, at.row, at.column, scaled * (1 - at.below) * (1 - at.right));
        plane.add(to, at.row, at.column + 1, scaled * (1 - at.below) * at.right);
        plane.add(to, at.row + 1, at.column, scaled * at.below * (1 - at.right));
        plane.add(to, at.row + 1, at.column + 1, scaled * at.below * at.right);
    });
    return found;
}

}  // namespace ascend_emulator
