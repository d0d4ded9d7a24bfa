// Overlaps of rotated rectangles, by clipping one with the edges of the other.
#include <array>
#include <cmath>

#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

struct Point {
    double x, y;
};
using Polygon = std::vector<Point>;

double cross(const Point& origin, const Point& a, const Point& b) {
    return (a.x - origin.x) * (b.y - origin.y) - (a.y - origin.y) * (b.x - origin.x);
}

/// A rectangle: centre, size and angle in degrees, or corners and angle if `by_corners`.
struct Rectangle {
    double x, y, width, height, angle;

    Rectangle(const std::array<double, 5>& box, bool by_corners)
        : x(by_corners ? (box[0] + box[2]) / 2 : box[0]),
          y(by_corners ? (box[1] + box[3]) / 2 : box[1]),
          width(by_corners ? box[2] - box[0] : box[2]),
          height(by_corners ? box[3] - box[1] : box[3]),
          angle(box[4] * 3.14159265358979323846 / 180) {}

    double area() const { return width * height; }

    /// The corners, in the order in which `cross` is positive inside.
    Polygon corners() const {
        const double cosine = std::cos(angle);
        const double sine = std::sin(angle);
        Polygon result;
        for (const Point& at : {Point{-0.5, -0.5}, {0.5, -0.5}, {0.5, 0.5}, {-0.5, 0.5}}) {
            const double along = at.x * width;
            const double across = at.y * height;
            result.push_back(
                {x + along * cosine - across * sine, y + along * sine + across * cosine});
        }
        return result;
    }
};

/// The part of `polygon` to the left of the line from `a` to `b`.
Polygon clipped(const Polygon& polygon, const Point& a, const Point& b) {
    Polygon result;
    for (std::size_t i = 0; i < polygon.size(); ++i) {
        const Point& from = polygon[i];
        const Point& to = polygon[(i + 1) % polygon.size()];
        const double from_side = cross(a, b, from);
        const double to_side = cross(a, b, to);
        if (from_side >= 0) {
            result.push_back(from);
        }
        if ((from_side > 0 && to_side < 0) || (from_side < 0 && to_side > 0)) {
            const double part = from_side / (from_side - to_side);
            result.push_back({from.x + part * (to.x - from.x), from.y + part * (to.y - from.y)});
        }
    }
    return result;
}

double area_of(const Polygon& polygon) {
    double twice = 0;
    for (std::size_t i = 2; i < polygon.size(); ++i) {
        twice += cross(polygon[0], polygon[i - 1], polygon[i]);
    }
    return std::abs(twice) / 2;
}

double shared_area(const Rectangle& a, const Rectangle& b) {
    if (a.area() <= 0 || b.area() <= 0) {
        return 0;
    }
    Polygon polygon = a.corners();
    const Polygon edges = b.corners();
    for (std::size_t i = 0; i < edges.size() && !polygon.empty(); ++i) {
        polygon = clipped(polygon, edges[i], edges[(i + 1) % edges.size()]);
    }
    return area_of(polygon);
}

/// The rectangles of one batch of boxes [B, 5, N].
std::vector<Rectangle> rectangles(const Tensor& boxes, Int batch, bool by_corners) {
    const auto* values = static_cast<const float*>(boxes.data());
    const Int count = boxes.size(2);
    std::vector<Rectangle> result;
    for (Int i = 0; i < count; ++i) {
        std::array<double, 5> box{};
        for (Int j = 0; j < 5; ++j) {
            box[static_cast<std::size_t>(j)] = values[(batch * 5 + j) * count + i];
        }
        result.emplace_back(box, by_corners);
    }
    return result;
}

/// Boxes [B, 5, N] and [B, 5, K] -> [B, N, K], each by `measure`.
template <class Measure>
Tensor each_pair(const SingleOpOperands& operands, Measure measure) {
    const bool by_corners = operands.flag("trans");
    const Tensor boxes = operands.input(0).to_float().contiguous();
    const Tensor queries = operands.input(1).to_float().contiguous();
    const Tensor result =
        full({boxes.size(0), boxes.size(2), queries.size(2)}, Scalar{0.0}, DType::float32);
    auto* out = static_cast<float*>(result.data());
    for (Int batch = 0; batch < boxes.size(0); ++batch) {
        const auto others = rectangles(queries, batch, by_corners);
        for (const Rectangle& box : rectangles(boxes, batch, by_corners)) {
            for (const Rectangle& other : others) {
                *out++ = static_cast<float>(measure(box, other));
            }
        }
    }
    return result;
}

}  // namespace

SINGLE_OP(RotatedOverlaps) {
    operands.accept_attributes({"trans"});
    operands.output(0) = each_pair(operands, shared_area);
}

// Both thresholds have the name "value"; torch_npu's defaults, and all that is emulated, are 0.
SINGLE_OP(RotatedIou) {
    operands.accept_attributes({"trans", "mode", "is_cross", "value"});
    require(operands.number("value") == 0, "value must be 0; others are not emulated");
    require(operands.flag("is_cross", true), "is_cross must be true; false is not emulated");
    const std::string mode = operands.text("mode", "iou");
    require(mode == "iou" || mode == "iof", "mode must be iou or iof, got " + mode);
    operands.output(0) = each_pair(operands, [&](const Rectangle& a, const Rectangle& b) {
        const double shared = shared_area(a, b);
        const double all = mode == "iof" ? a.area() : a.area() + b.area() - shared;
        return all > 0 ? shared / all : 0;
    });
}
