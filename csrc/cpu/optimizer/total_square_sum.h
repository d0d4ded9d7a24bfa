// The sum of the squares of many arrays in one parallel pass.
//
// Blocks of a fixed size are summed separately, in an order that does not depend on the instruction
// set, and their sums are added pairwise, so that the result is bitwise the same for any number of
// threads. Squares are exact and sums are in double, so nothing overflows and small numbers are not
// lost.
#pragma once

#include <vector>

#include "cpu/optimizer/blocks.h"
#include "cpu/optimizer/optimizer.h"

namespace ascend_ops {

constexpr std::int64_t norm_block_size = 8192;
constexpr std::int64_t norm_grain = 8;

struct Elements {
    const void* first;
    DType dtype;
    std::int64_t count;
};

inline double pairwise_sum(const double* values, std::size_t count) {
    if (count <= 2) {
        return count == 0 ? 0.0 : values[0] + (count == 2 ? values[1] : 0.0);
    }
    const std::size_t half = count / 2;
    return pairwise_sum(values, half) + pairwise_sum(values + half, count - half);
}

/// Returns a sum that is finite if and only if every element is.
inline double total_square_sum(Isa isa, const std::vector<Elements>& arrays) {
    Blocks blocks(norm_block_size);
    for (std::size_t i = 0; i < arrays.size(); ++i) {
        blocks.add(i, 0, arrays[i].count);
    }
    std::vector<double> sums(static_cast<std::size_t>(blocks.count()));
    blocks.run(norm_grain,
               [&](std::size_t i, std::int64_t begin, std::int64_t end, std::int64_t block) {
                   for (; begin < end; begin += norm_block_size, ++block) {
                       const std::int64_t block_end = std::min(begin + norm_block_size, end);
                       sums[static_cast<std::size_t>(block)] =
                           square_sum(isa, arrays[i].dtype, arrays[i].first, begin, block_end);
                   }
               });
    return pairwise_sum(sums.data(), sums.size());
}

}  // namespace ascend_ops
