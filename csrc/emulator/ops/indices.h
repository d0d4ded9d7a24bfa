// Indices that point into a tensor. A device faults on one that is out of range, and several of
// ATen's kernels read or write there without a check.
#pragma once

#include <optional>

#include "emulator/ops/checks.h"

namespace ascend_emulator {

/// The indices in int64, after a check that each is in [0, limit) or is `exempt`. CANN takes uint8
/// for classes.
inline Tensor checked_indices(const char* argument, const Tensor& indices, std::int64_t limit,
                              std::optional<std::int64_t> exempt = std::nullopt) {
    require(
        indices.dtype() == DType::int64 || indices.dtype() == DType::int32 ||
            indices.dtype() == DType::uint8,
        std::string(argument) + " must be int64, int32 or uint8, got " + name_of(indices.dtype()));
    const Tensor wide = indices.to(DType::int64).contiguous();
    const auto* values = static_cast<const std::int64_t*>(wide.data());
    for (std::int64_t i = 0; i < wide.numel(); ++i) {
        require((values[i] >= 0 && values[i] < limit) || values[i] == exempt,
                std::string(argument) + " must hold indices of 0 to " + std::to_string(limit - 1) +
                    ", got " + std::to_string(values[i]));
    }
    return wide;
}

}  // namespace ascend_emulator
