// Overlaps of boxes.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace {

Tensor side(const Tensor& boxes, Int dim, Int index) {
    return aten("select.int", boxes.to_float(), dim, index);
}

Tensor larger(const Tensor& a, const Tensor& b) { return aten("maximum", a, b); }
Tensor smaller(const Tensor& a, const Tensor& b) { return aten("minimum", a, b); }
Tensor non_negative(const Tensor& x) { return aten("clamp_min", x, 0.0); }

/// The corners of boxes, by coordinate.
struct Boxes {
    Tensor x0;
    Tensor y0;
    Tensor x1;
    Tensor y1;

    Tensor width() const { return x1 - x0; }
    Tensor height() const { return y1 - y0; }
    Tensor area(double eps) const { return (width() + eps) * (height() + eps); }
};

Tensor intersection(const Boxes& a, const Boxes& b, double eps) {
    return non_negative(smaller(a.x1, b.x1) - larger(a.x0, b.x0) + eps) *
           non_negative(smaller(a.y1, b.y1) - larger(a.y0, b.y0) + eps);
}

Tensor overlap_of(const Boxes& a, const Boxes& b, const String& mode, double eps) {
    require(mode == "iou" || mode == "iof", "mode must be iou or iof, got " + mode);
    const Tensor common = intersection(a, b, eps);
    return mode == "iof" ? common / b.area(eps) : common / (a.area(eps) + b.area(eps) - common);
}

Boxes corners(const Tensor& boxes, Int dim) {
    return {side(boxes, dim, 0), side(boxes, dim, 1), side(boxes, dim, 2), side(boxes, dim, 3)};
}

Boxes map(const Boxes& boxes, Int dim) {
    const auto spread = [dim](const Tensor& x) { return aten("unsqueeze", x, dim); };
    return {spread(boxes.x0), spread(boxes.y0), spread(boxes.x1), spread(boxes.y1)};
}

/// Corners, given centers and sizes.
Boxes from_centers(const Boxes& boxes) {
    const Tensor w = boxes.x1 * 0.5;
    const Tensor h = boxes.y1 * 0.5;
    return {boxes.x0 - w, boxes.y0 - h, boxes.x0 + w, boxes.y0 + h};
}

}  // namespace

// Boxes are [m, 4] and [n, 4]; the result is [m, n], or [m, 1] if they are aligned.
ACLNN(aclnnIou, Tensor boxes, Tensor truth, String mode, float eps, bool aligned, Out overlap) {
    const Boxes a = map(corners(boxes, 1), 1);
    const Boxes b = map(corners(truth, 1), aligned ? 1 : 0);
    overlap = overlap_of(a, b, mode, double{eps});
}

// Boxes are [4, n]. The second output is the difference of the angles of the diagonals.
ACLNN_CHECKED(aclnnCIoU, Tensor boxes, Tensor truth, bool are_centers, bool is_cross, String mode,
              Out overlap, Out angle) {
    require(!is_cross, "isCross must be false, got true");
    constexpr double eps = 1e-9;
    constexpr double pi = 3.14159265358979323846;
    const Boxes a = are_centers ? from_centers(corners(boxes, 0)) : corners(boxes, 0);
    const Boxes b = are_centers ? from_centers(corners(truth, 0)) : corners(truth, 0);
    const Tensor iou = overlap_of(a, b, mode, eps);
    const Tensor w = larger(a.x1, b.x1) - smaller(a.x0, b.x0);
    const Tensor h = larger(a.y1, b.y1) - smaller(a.y0, b.y0);
    const Tensor dx = a.x0 + a.x1 - b.x0 - b.x1;
    const Tensor dy = a.y0 + a.y1 - b.y0 - b.y1;
    const Tensor distance = (dx * dx + dy * dy) * 0.25 / (w * w + h * h + eps);
    const Tensor difference =
        aten("atan", b.width() / b.height()) - aten("atan", a.width() / a.height());
    const Tensor v = difference * difference * (4.0 / (pi * pi));
    const Tensor alpha = v / (-iou + v + (1.0 + eps));
    overlap = iou - distance - alpha * v;
    angle = difference;
}
