// Rows of a tensor, addressed by lists of integers.
#pragma once

#include <algorithm>
#include <numeric>

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

/// The values of an integer tensor, in order.
inline IntList integers_of(const Tensor& x) {
    const Tensor wide = x.to(DType::int64).contiguous();
    const auto* first = static_cast<const Int*>(wide.data());
    return {first, first + wide.numel()};
}

/// A tensor of one dimension, int64.
inline Tensor integer_tensor(const IntList& values) {
    const auto count = static_cast<Int>(values.size());
    return aten("clone", tensor_at(const_cast<Int*>(values.data()), {count}, {1}, DType::int64));
}

/// begin to end - 1.
inline IntList consecutive(Int begin, Int end) {
    IntList all(static_cast<std::size_t>(end - begin));
    std::iota(all.begin(), all.end(), begin);
    return all;
}

/// Row rows[i] of x for each i, and zeros for -1 and for rows that x does not have.
inline Tensor gathered(const Tensor& x, IntList rows) {
    const Int count = x.size(0);
    for (Int& row : rows) {
        row = row < 0 || row >= count ? count : row;
    }
    IntList sizes = x.sizes();
    sizes[0] = 1;
    const Tensor padded = aten("cat", TensorList{x, full(sizes, Scalar{0.0}, x.dtype())}, 0);
    return aten("index_select", padded, 0, integer_tensor(rows));
}

/// `count` rows, in fp32: the sums of the rows of x that are assigned to them; -1 is left out.
inline Tensor scattered(const Tensor& x, IntList rows, Int count) {
    for (Int& row : rows) {
        row = row < 0 || row >= count ? count : row;
    }
    IntList sizes = x.sizes();
    sizes[0] = count + 1;
    const Tensor sums = full(sizes, Scalar{0.0}, DType::float32);
    return aten("index_add", sums, 0, integer_tensor(rows), x.to_float()).narrow(0, count);
}

/// The positions of `values` in ascending order; equal values keep their order.
inline IntList argsort(const IntList& values) {
    IntList order(values.size());
    std::iota(order.begin(), order.end(), Int{0});
    std::stable_sort(order.begin(), order.end(), [&](Int a, Int b) {
        return values[static_cast<std::size_t>(a)] < values[static_cast<std::size_t>(b)];
    });
    return order;
}

/// The inverse of a permutation.
inline IntList inverse_of(const IntList& order) {
    IntList inverse(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        inverse[static_cast<std::size_t>(order[i])] = static_cast<Int>(i);
    }
    return inverse;
}

/// 0 to count - 1, each divided by `divisor`.
inline IntList quotients(Int count, Int divisor) {
    IntList values(static_cast<std::size_t>(count));
    for (Int i = 0; i < count; ++i) {
        values[static_cast<std::size_t>(i)] = i / divisor;
    }
    return values;
}

/// Write `value` into the first rows of an output; the others keep what they hold, as on a device.
inline void assign_first_rows(const Out& out, const Tensor& value) {
    if (out.defined()) {
        assign(out.tensor.narrow(0, value.size(0)), value);
    }
}

}  // namespace ascend_emulator
