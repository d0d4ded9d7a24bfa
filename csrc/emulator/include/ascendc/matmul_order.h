// The order in which Iterate takes the blocks of a result.
#pragma once

#include <algorithm>
#include <cstdint>

namespace aicore {

/// The position of a block of baseM x baseN, counted in blocks.
struct BlockPosition {
    std::uint32_t row;
    std::uint32_t column;
};

/// Block number `index` if rows come before columns. L1 holds the blocks of `step` columns of B, so
/// each row of A is multiplied by all of these before the next one is loaded.
inline BlockPosition by_rows(std::uint32_t index, std::uint32_t rows, std::uint32_t columns,
                             std::uint32_t step) {
    const std::uint32_t first = index / (rows * step) * step;
    const std::uint32_t width = std::min(step, columns - first);
    const std::uint32_t inside = index - first * rows;
    return {inside / width, first + inside % width};
}

/// Block number `index` of rows x columns blocks, as iterateOrder, stepM and stepN order them.
inline BlockPosition block_at(std::uint32_t index, std::uint32_t rows, std::uint32_t columns,
                              bool m_first, std::int32_t step_m, std::int32_t step_n) {
    const auto held = static_cast<std::uint32_t>(std::max(1, m_first ? step_n : step_m));
    if (m_first) {
        return by_rows(index, rows, columns, held);
    }
    const BlockPosition turned = by_rows(index, columns, rows, held);
    return {turned.column, turned.row};
}

}  // namespace aicore
