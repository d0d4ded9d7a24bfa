// The compressed masks that CANN's attention functions take with a sparse mode.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "npu/call/outputs.h"

namespace ascend_ops {

/// CANN's "sparseMode": up to here a mask, if there is one, has a value for each score. Above, the
/// mode alone defines which scores count, and CANN requires its compressed mask beside it.
constexpr std::int64_t last_mode_with_whole_mask = 1;
constexpr std::int64_t lower_right_mode = 3;  // causal, and the last query sees all keys
constexpr std::int64_t prefix_mode = 6;

/// Return the mask of `sparse_mode` on the device of `like`; 1 is masked out. It is [2048, 2048]
/// with ones above the diagonal; for the prefix mode 1024 rows follow, whose left half is 0 and
/// whose right half is 1.
///
/// One mask per device and shape, of 4 or 6 MiB, is kept for the life of the process: destroying it
/// at exit would come after the device is closed.
inline const torch::stable::Tensor& compressed_mask(const torch::stable::Tensor& like,
                                                    std::int64_t sparse_mode) {
    using torch::headeronly::ScalarType;
    using torch::stable::Tensor;
    static std::mutex mutex;
    static auto* const masks = new std::map<std::pair<std::int32_t, bool>, Tensor>;
    const std::lock_guard<std::mutex> lock(mutex);
    const bool is_prefix = sparse_mode == prefix_mode;
    const auto key = std::make_pair(like.get_device_index(), is_prefix);
    const auto found = masks->find(key);
    if (found != masks->end()) {
        return found->second;
    }
    constexpr std::int64_t columns = 2048;
    const std::int64_t rows = columns + (is_prefix ? columns / 2 : 0);
    std::vector<std::uint8_t> values(static_cast<std::size_t>(rows * columns));
    for (std::int64_t row = 0; row < rows; ++row) {
        const std::int64_t zeros = row < columns ? row + 1 : columns / 2;
        const auto begin = values.begin() + row * columns;
        std::fill(begin + zeros, begin + columns, std::uint8_t{1});
    }
    const Tensor host = torch::stable::from_blob(
        values.data(), {rows, columns}, {columns, 1},
        torch::stable::Device(torch::headeronly::DeviceType::CPU), ScalarType::Bool);
    Tensor mask = aclnn::make_empty(like, {rows, columns}, ScalarType::Bool);
    torch::stable::copy_(mask, host);  // returns once it has read the host's memory
    return masks->emplace(key, std::move(mask)).first->second;
}

/// Return the mask that goes with `sparse_mode`: `whole`, or the compressed one.
inline std::optional<torch::stable::Tensor> mask_for(
    const torch::stable::Tensor& like, std::int64_t sparse_mode,
    const std::optional<torch::stable::Tensor>& whole = std::nullopt) {
    return sparse_mode > last_mode_with_whole_mask ? compressed_mask(like, sparse_mode) : whole;
}

}  // namespace ascend_ops
