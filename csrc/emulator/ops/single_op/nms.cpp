// Non-maximum suppression.
#include <algorithm>
#include <numeric>

#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

/// A box by any two opposite corners.
struct Box {
    float left, top, right, bottom;

    explicit Box(const float* corners)
        : left(std::min(corners[0], corners[2])),
          top(std::min(corners[1], corners[3])),
          right(std::max(corners[0], corners[2])),
          bottom(std::max(corners[1], corners[3])) {}
    float area() const { return (right - left) * (bottom - top); }
};

float intersection_over_union(const Box& a, const Box& b) {
    const float width = std::min(a.right, b.right) - std::max(a.left, b.left);
    const float height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
    if (width <= 0 || height <= 0 || a.area() <= 0 || b.area() <= 0) {
        return 0;
    }
    return width * height / (a.area() + b.area() - width * height);
}

}  // namespace

// boxes [n, 4], scores [n], max_output_size, iou_threshold, score_threshold -> indices, padded with
// 0, and their number: TensorFlow's NonMaxSuppressionV4.
SINGLE_OP(NonMaxSuppressionV4) {
    operands.accept_attributes({"pad_to_max_output_size"});
    const Tensor boxes = operands.input(0).to_float().contiguous();
    const Tensor scores = operands.input(1).to_float().contiguous();
    const auto* corners = static_cast<const float*>(boxes.data());
    const auto* score = static_cast<const float*>(scores.data());
    const Int most = operands.input_ints(2).at(0);
    const auto threshold = static_cast<float>(operands.input(3).item());
    const double least = operands.input(4).item();
    IntList order(static_cast<std::size_t>(scores.numel()));
    std::iota(order.begin(), order.end(), Int{0});
    std::stable_sort(order.begin(), order.end(), [&](Int a, Int b) { return score[a] > score[b]; });
    IntList chosen;
    for (const Int candidate : order) {
        if (static_cast<Int>(chosen.size()) == most || score[candidate] <= least) {
            break;
        }
        const Box box(corners + 4 * candidate);
        const bool overlaps = std::any_of(chosen.begin(), chosen.end(), [&](Int other) {
            return intersection_over_union(box, Box(corners + 4 * other)) > threshold;
        });
        if (!overlaps) {
            chosen.push_back(candidate);
        }
    }
    const Tensor indices = full(operands.output(0).tensor.sizes(), Scalar{}, DType::int64);
    std::copy(chosen.begin(), chosen.end(), static_cast<Int*>(indices.data()));
    operands.output(0) = indices;
    operands.output(1).fill(full({}, Scalar{static_cast<Int>(chosen.size())}, DType::int64));
}
