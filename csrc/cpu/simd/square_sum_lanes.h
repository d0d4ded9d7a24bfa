// The sums that every instruction set keeps apart, so that all add in the same order.
#pragma once

namespace ascend_ops {

constexpr int square_sum_lanes = 32;

}  // namespace ascend_ops
