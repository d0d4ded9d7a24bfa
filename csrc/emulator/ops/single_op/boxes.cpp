// Coding of boxes against anchors, and masks of the anchors that are responsible for a box.
#include <cmath>

#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

/// A column of a tensor of boxes.
Tensor column(const Tensor& boxes, Int dim, Int index) {
    return aten("select.int", boxes, dim, index);
}

Tensor clamped(const Tensor& x, double low, double high) {
    return aten("clamp", x, Scalar{low}, Scalar{high});
}

/// Boxes by their centres and sizes.
struct Centered {
    Tensor x, y, width, height;

    /// From corners; `inclusive` corners belong to the box.
    static Centered of_corners(const Tensor& boxes, Int dim, double inclusive) {
        const Tensor left = column(boxes, dim, 0);
        const Tensor top = column(boxes, dim, 1);
        const Tensor right = column(boxes, dim, 2);
        const Tensor bottom = column(boxes, dim, 3);
        return {(left + right) * 0.5, (top + bottom) * 0.5, right - left + inclusive,
                bottom - top + inclusive};
    }
};

Tensor log_ratio(const Tensor& size, const Tensor& reference) {
    return aten("log", size / reference);
}

/// means[i] and stds[i] as the attributes give them, one per column.
Tensor row_of(const DoubleList& values) {
    const Tensor row = full({static_cast<Int>(values.size())}, Scalar{0.0}, DType::float32);
    auto* elements = static_cast<float*>(row.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
        elements[i] = static_cast<float>(values[i]);
    }
    return row;
}

}  // namespace

// anchors, ground truth -> deltas
SINGLE_OP(BoundingBoxEncode) {
    operands.accept_attributes({"means", "stds"});
    const auto anchor = Centered::of_corners(operands.input(0).to_float(), 1, 1);
    const auto truth = Centered::of_corners(operands.input(1).to_float(), 1, 1);
    const TensorList deltas = {
        (truth.x - anchor.x) / anchor.width, (truth.y - anchor.y) / anchor.height,
        log_ratio(truth.width, anchor.width), log_ratio(truth.height, anchor.height)};
    operands.output(0) = (aten("stack", deltas, Int{1}) - row_of(operands.numbers("means"))) /
                         row_of(operands.numbers("stds"));
}

// regions, deltas -> boxes, clamped to max_shape (height, width)
SINGLE_OP(BoundingBoxDecode) {
    operands.accept_attributes({"means", "stds", "max_shape", "wh_ratio_clip"});
    const auto region = Centered::of_corners(operands.input(0).to_float(), 1, 1);
    const Tensor deltas = operands.input(1).to_float() * row_of(operands.numbers("stds")) +
                          row_of(operands.numbers("means"));
    const double limit = std::abs(std::log(operands.number("wh_ratio_clip", 0.016)));
    const auto sized = [&](const Tensor& size, Int index) {
        return size * aten("exp", clamped(column(deltas, 1, index), -limit, limit)) * 0.5;
    };
    const Tensor x = region.x + region.width * column(deltas, 1, 0);
    const Tensor y = region.y + region.height * column(deltas, 1, 1);
    const Tensor half_width = sized(region.width, 2);
    const Tensor half_height = sized(region.height, 3);
    const IntList shape = operands.ints("max_shape");
    const auto within = [&](const Tensor& at, std::size_t index) {
        return shape.size() > index ? clamped(at, 0, static_cast<double>(shape[index] - 1)) : at;
    };
    const TensorList corners = {within(x - half_width + 0.5, 1), within(y - half_height + 0.5, 0),
                                within(x + half_width - 0.5, 1), within(y + half_height - 0.5, 0)};
    operands.output(0) = aten("stack", corners, Int{1});
}

// anchors, ground truth, strides -> deltas
SINGLE_OP(YoloBoxesEncode) {
    operands.accept_attributes({"performance_mode"});
    constexpr double least = 1e-6;
    const auto anchor = Centered::of_corners(operands.input(0).to_float(), 1, 0);
    const auto truth = Centered::of_corners(operands.input(1).to_float(), 1, 0);
    const Tensor stride = operands.input(2).to_float();
    const auto offset = [&](const Tensor& from, const Tensor& to) {
        return clamped((to - from) / stride + 0.5, least, 1 - least);
    };
    const auto scale = [&](const Tensor& from, const Tensor& to) {
        return aten("log", aten("clamp_min", to / from, Scalar{least}));
    };
    const TensorList deltas = {offset(anchor.x, truth.x), offset(anchor.y, truth.y),
                               scale(anchor.width, truth.width),
                               scale(anchor.height, truth.height)};
    operands.output(0) = aten("stack", deltas, Int{1});
}

namespace {

constexpr double radians = 0.017453292519943295;  // per degree

Tensor tangent(const Tensor& degrees) { return aten("tan", degrees * radians); }

/// The weights of a rotated box's five deltas, as a column of [1, 5, 1].
Tensor weights(const SingleOpOperands& operands) {
    return row_of(operands.numbers("weight")).reshape({1, -1, 1});
}

}  // namespace

// anchors, ground truth: [B, 5, N] as corners and an angle -> deltas
SINGLE_OP(RotatedBoxEncode) {
    operands.accept_attributes({"weight"});
    const Tensor anchors = operands.input(0).to_float();
    const Tensor truths = operands.input(1).to_float();
    const auto anchor = Centered::of_corners(anchors, 1, 0);
    const auto truth = Centered::of_corners(truths, 1, 0);
    const TensorList deltas = {
        (truth.x - anchor.x) / anchor.width, (truth.y - anchor.y) / anchor.height,
        log_ratio(truth.width, anchor.width), log_ratio(truth.height, anchor.height),
        tangent(column(truths, 1, 4)) - tangent(column(anchors, 1, 4))};
    operands.output(0) = aten("stack", deltas, Int{1}) * weights(operands);
}

// anchors, deltas: [B, 5, N] -> boxes as corners and an angle
SINGLE_OP(RotatedBoxDecode) {
    operands.accept_attributes({"weight"});
    const Tensor anchors = operands.input(0).to_float();
    const Tensor deltas = operands.input(1).to_float() / weights(operands);
    const auto anchor = Centered::of_corners(anchors, 1, 0);
    const Tensor x = anchor.x + anchor.width * column(deltas, 1, 0);
    const Tensor y = anchor.y + anchor.height * column(deltas, 1, 1);
    const Tensor half_width = anchor.width * aten("exp", column(deltas, 1, 2)) * 0.5;
    const Tensor half_height = anchor.height * aten("exp", column(deltas, 1, 3)) * 0.5;
    const Tensor angle =
        aten("atan", tangent(column(anchors, 1, 4)) + column(deltas, 1, 4)) / radians;
    const TensorList boxes = {x - half_width, y - half_height, x + half_width, y + half_height,
                              angle};
    operands.output(0) = aten("stack", boxes, Int{1});
}

// ground truth -> 1 for the anchors of the cells that contain a centre
SINGLE_OP(AnchorResponseFlags) {
    operands.accept_attributes({"featmap_size", "strides", "num_base_anchors"});
    const auto truth = Centered::of_corners(operands.input(0).to_float(), 1, 0);
    const IntList map = operands.ints("featmap_size");
    const IntList strides = operands.ints("strides");
    const auto cell = [](const Tensor& at, Int stride) {
        return aten("floor", at / static_cast<double>(stride)).to(DType::int64);
    };
    const Tensor cells = cell(truth.y, strides.at(1)) * full({}, Scalar{map.at(1)}, DType::int64) +
                         cell(truth.x, strides.at(0));
    const Tensor flags = full({map.at(0) * map.at(1)}, Scalar{std::int64_t{0}}, DType::uint8);
    aten("index_fill_.int_Scalar", flags, Int{0}, cells, Scalar{std::int64_t{1}});
    operands.output(0) = aten("repeat_interleave.self_int", flags,
                              static_cast<Int>(operands.number("num_base_anchors")));
}
