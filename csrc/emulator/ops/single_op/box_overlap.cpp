// Overlaps of axis-parallel boxes and their gradients: IoU, GIoU, DIoU, CIoU.
#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"
#include "emulator/ops/single_op/dual.h"

using namespace ascend_emulator;

namespace {

enum class Overlap { giou, diou, ciou };

/// Boxes by their corners. T is Tensor, or Dual for gradients.
template <class T>
struct Corners {
    T left, top, right, bottom;

    /// From the rows x, y, width, height if `centered`, else left, top, right, bottom.
    static Corners of(const T& a, const T& b, const T& c, const T& d, bool centered) {
        if (!centered) {
            return {a, b, c, d};
        }
        return {a - c * 0.5, b - d * 0.5, a + c * 0.5, b + d * 0.5};
    }
    T width() const { return right - left; }
    T height() const { return bottom - top; }
};

template <class T>
T squared(const T& x) {
    return x * x;
}

/// (distance of the centres / diagonal of the hull)^2
template <class T>
T distance_term(const Corners<T>& a, const Corners<T>& b, const T& hull_width, const T& hull_height,
                double eps) {
    const T distance =
        squared(b.left + b.right - a.left - a.right) + squared(b.top + b.bottom - a.top - a.bottom);
    return distance * 0.25 / (squared(hull_width) + squared(hull_height) + eps);
}

/// The difference of the angles of the boxes' diagonals.
template <class T>
T angle_difference(const Corners<T>& a, const Corners<T>& b, double eps) {
    return arctangent(b.width() / (b.height() + eps)) - arctangent(a.width() / (a.height() + eps));
}

/// The formulas of the papers (arXiv 1902.09630, 1911.08287). CIoU's weight of the angles is a
/// constant for the gradient.
template <class T>
T overlap_of(Overlap kind, const Corners<T>& a, const Corners<T>& b, bool of_second_only) {
    constexpr double pi = 3.14159265358979323846;
    const double eps = kind == Overlap::giou ? 1e-16 : 1e-9;
    const double size_eps = kind == Overlap::giou ? 0 : eps;
    const T shared = positive(minimum(a.right, b.right) - maximum(a.left, b.left)) *
                     positive(minimum(a.bottom, b.bottom) - maximum(a.top, b.top));
    const T area_b = b.width() * (b.height() + size_eps);
    const T united = a.width() * (a.height() + size_eps) + area_b - shared + eps;
    const T hull_width = maximum(a.right, b.right) - minimum(a.left, b.left);
    const T hull_height = maximum(a.bottom, b.bottom) - minimum(a.top, b.top);
    const T ratio = of_second_only ? shared / (area_b + eps) : shared / united;
    if (kind == Overlap::giou) {
        const T hull = hull_width * hull_height;
        return ratio - (hull - united) / hull;
    }
    T near = ratio - distance_term(a, b, hull_width, hull_height, eps);
    if (kind == Overlap::diou) {
        return near;
    }
    const T angles = squared(angle_difference(a, b, eps)) * (4 / (pi * pi));
    const Tensor weight = value_of(angles) / (-value_of(ratio) + (1 + eps) + value_of(angles));
    return near - angles * weight;
}

/// Row `index` of boxes [4, n], as `sizes`.
Tensor row(const Tensor& boxes, Int index, const IntList& sizes) {
    return aten("select.int", boxes, Int{0}, index).reshape(sizes);
}

Corners<Tensor> corners(const Tensor& boxes, bool centered, const IntList& sizes) {
    return Corners<Tensor>::of(row(boxes, 0, sizes), row(boxes, 1, sizes), row(boxes, 2, sizes),
                               row(boxes, 3, sizes), centered);
}

bool of_second_only(const SingleOpOperands& operands) {
    const std::string mode = operands.text("mode", "iou");
    require(mode == "iou" || mode == "iof", "mode must be iou or iof, got " + mode);
    return mode == "iof";
}

struct OverlapPair {
    Corners<Tensor> a, b;
};

/// The boxes of a call: pairs, or each of the first with each of the second.
OverlapPair pair_of(const SingleOpOperands& operands) {
    const bool centered = operands.flag("trans");
    const bool cross = operands.flag("is_cross", true);
    const IntList rows = cross ? IntList{1, -1} : IntList{-1};
    const IntList columns = cross ? IntList{-1, 1} : IntList{-1};
    return {corners(operands.input(0).to_float(), centered, rows),
            corners(operands.input(1).to_float(), centered, columns)};
}

// boxes, ground truth: [4, n], [4, m] -> [1, n] or [m, n]
void forward(const SingleOpOperands& operands, Overlap kind) {
    operands.accept_attributes({"trans", "is_cross", "mode", "atan_sub_flag"});
    const bool second_only = of_second_only(operands);
    const OverlapPair pair = pair_of(operands);
    operands.output(0) = overlap_of(kind, pair.a, pair.b, second_only);
    if (kind == Overlap::ciou && operands.flag("atan_sub_flag")) {
        operands.output(1) = angle_difference(pair.a, pair.b, 1e-9);
    }
}

Corners<Dual> differentiable_corners(const Tensor& boxes, bool centered, std::size_t first) {
    Dual rows[4];
    for (std::size_t i = 0; i < 4; ++i) {
        rows[i] = {row(boxes, static_cast<Int>(i), {-1}), TensorList(8)};
        rows[i].slopes[first + i] = ones_like(rows[i].value);
    }
    return Corners<Dual>::of(rows[0], rows[1], rows[2], rows[3], centered);
}

// grad [n], boxes, ground truth: [4, n] -> their gradients
void backward(const SingleOpOperands& operands, Overlap kind) {
    operands.accept_attributes({"trans", "is_cross", "mode"});
    require(!operands.flag("is_cross"), "is_cross must be false for the gradient, got true");
    const bool second_only = of_second_only(operands);
    const bool centered = operands.flag("trans");
    const Dual overlap =
        overlap_of(kind, differentiable_corners(operands.input(1).to_float(), centered, 0),
                   differentiable_corners(operands.input(2).to_float(), centered, 4), second_only);
    const Tensor grad = operands.input(0).to_float().reshape({-1});
    TensorList grads;
    for (const Tensor& slope : overlap.slopes) {
        grads.push_back(grad * slope);
    }
    operands.output(0) = aten("stack", TensorList(grads.begin(), grads.begin() + 4), Int{0});
    operands.output(1) = aten("stack", TensorList(grads.begin() + 4, grads.end()), Int{0});
}

}  // namespace

SINGLE_OP(GIoU) { forward(operands, Overlap::giou); }
SINGLE_OP(DIoU) { forward(operands, Overlap::diou); }
SINGLE_OP(CIoU) { forward(operands, Overlap::ciou); }
SINGLE_OP(GIoUGrad) { backward(operands, Overlap::giou); }
SINGLE_OP(DIoUGrad) { backward(operands, Overlap::diou); }
SINGLE_OP(CIoUGrad) { backward(operands, Overlap::ciou); }

// boxes [n, 4], ground truth [m, 4] -> [m, n]. Sizes are enlarged by eps.
SINGLE_OP(Iou) {
    operands.accept_attributes({"mode", "eps"});
    const bool second_only = of_second_only(operands);
    const double eps = operands.number("eps", 1);
    const auto a = corners(operands.input(0).to_float().transpose(0, 1), false, {1, -1});
    const auto b = corners(operands.input(1).to_float().transpose(0, 1), false, {-1, 1});
    const Tensor shared = positive(minimum(a.right, b.right) - maximum(a.left, b.left)) *
                          positive(minimum(a.bottom, b.bottom) - maximum(a.top, b.top));
    const Tensor area_b = (b.width() + eps) * (b.height() + eps);
    const Tensor united = (a.width() + eps) * (a.height() + eps) + area_b - shared;
    operands.output(0) = shared / (second_only ? area_b : united);
}
