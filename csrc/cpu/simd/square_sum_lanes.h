// The number of separate sums of squares: the same on all instruction sets, so that all of them add
// in the same order.
#pragma once

namespace ascend_ops {

constexpr int square_sum_lanes = 32;

}  // namespace ascend_ops
