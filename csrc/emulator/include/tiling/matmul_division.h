// How the result of a product is divided among cores.
#pragma once

#include <algorithm>
#include <cstdint>

namespace matmul_tiling {

inline std::int32_t quotient(std::int32_t value, std::int32_t divisor) {
    return divisor <= 0 ? 0 : (value + divisor - 1) / divisor;
}
inline std::int32_t rounded_up(std::int32_t value, std::int32_t unit) {
    return quotient(value, unit) * unit;
}

/// What a program requires of the part of an axis that one core computes; -1 if nothing.
struct AxisLimits {
    std::int32_t least = -1;
    std::int32_t most = -1;
    std::int32_t unit = -1;

    /// The length of each of `count` parts: a multiple of `usual_unit`, if SetAlignSplit set none.
    std::int32_t part(std::int32_t length, std::int32_t count, std::int32_t usual_unit) const {
        std::int32_t size = rounded_up(quotient(length, count), unit > 0 ? unit : usual_unit);
        size = most > 0 ? std::min(size, most) : size;
        size = least > 0 ? std::max(size, least) : size;
        return std::min(size, length);
    }
};

/// How many cores share M and N.
struct Division {
    std::int32_t along_m = 1;
    std::int32_t along_n = 1;
};

/// What a division costs. Fewer is better, from the first number to the last.
struct DivisionCost {
    std::int64_t idle;    // cores without work
    std::int64_t loaded;  // elements that one core loads for each element of K
    std::int64_t shared;  // the size of the block along the axes that are divided

    bool operator<(const DivisionCost& other) const {
        if (idle != other.idle) {
            return idle < other.idle;
        }
        return loaded != other.loaded ? loaded < other.loaded : shared < other.shared;
    }
};

inline DivisionCost cost_of(Division division, std::int32_t m, std::int32_t n, std::int32_t base_m,
                            std::int32_t base_n, std::int32_t cores) {
    const AxisLimits none;
    const std::int64_t single_m = none.part(m, division.along_m, 16);
    const std::int64_t single_n = none.part(n, division.along_n, 16);
    const std::int64_t blocks_m = (single_m + base_m - 1) / base_m;
    const std::int64_t blocks_n = (single_n + base_n - 1) / base_n;
    const std::int64_t used = ((m + single_m - 1) / single_m) * ((n + single_n - 1) / single_n);
    return {cores - used, single_m * blocks_n + single_n * blocks_m,
            std::int64_t{division.along_m} * base_m + std::int64_t{division.along_n} * base_n};
}

/// The division among at most `cores` that uses most of them and loads least. If two load the same,
/// the axis with the smaller block is divided; if the blocks are square, M.
inline Division divided(std::int32_t m, std::int32_t n, std::int32_t base_m, std::int32_t base_n,
                        std::int32_t cores) {
    Division best;
    DivisionCost least = cost_of(best, m, n, base_m, base_n, cores);
    for (std::int32_t rows = 1; rows <= std::min(cores, quotient(m, 16)); ++rows) {
        const Division division{rows, std::min(cores / rows, quotient(n, 16))};
        const DivisionCost cost = cost_of(division, m, n, base_m, base_n, cores);
        if (!(least < cost)) {
            best = division;
            least = cost;
        }
    }
    return best;
}

}  // namespace matmul_tiling
