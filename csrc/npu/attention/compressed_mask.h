// The compressed masks that CANN's attention functions take with a sparse mode.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "npu/call/call.h"
#include "npu/call/outputs.h"
#include "npu/call/torch_npu.h"

namespace ascend_ops {

/// CANN's "sparseMode": up to here a mask, if there is one, has a value for each score. Above, the
/// mode alone defines which scores count, and CANN requires its compressed mask beside it.
constexpr std::int64_t last_mode_with_whole_mask = 1;
constexpr std::int64_t lower_right_mode = 3;  // causal, and the last query sees all keys
constexpr std::int64_t prefix_mode = 6;

/// Return ones above the diagonal, [rows, rows] and bool.
inline torch::stable::Tensor above_diagonal(const torch::stable::Tensor& like, std::int64_t rows) {
    using torch::stable::Tensor;
    const Tensor ones = aclnn::make_empty(like, {rows, rows}, torch::headeronly::ScalarType::Bool);
    torch::stable::fill_(ones, 1);
    std::array<StableIValue, 2> stack{torch::stable::detail::from(ones),
                                      torch::stable::detail::from(std::int64_t{1})};
    TORCH_ERROR_CODE_CHECK(
        torch_call_dispatcher("aten::triu", "", stack.data(), TORCH_ABI_VERSION));
    return torch::stable::detail::to<Tensor>(stack[0]);
}

/// Return a new mask; 1 is masked out. It is [2048, 2048] with ones above the diagonal; for the
/// prefix mode 1024 rows follow, whose left half is 0 and whose right half is 1.
inline torch::stable::Tensor make_compressed_mask(const torch::stable::Tensor& like,
                                                  bool is_prefix) {
    using torch::stable::narrow;
    using torch::stable::Tensor;
    constexpr std::int64_t side = 2048;
    constexpr std::int64_t half = side / 2;
    Tensor causal = above_diagonal(like, side);
    if (!is_prefix) {
        return causal;
    }
    Tensor mask = aclnn::make_empty(like, {side + half, side}, torch::headeronly::ScalarType::Bool);
    Tensor top = narrow(mask, 0, 0, side);
    torch::stable::copy_(top, causal);
    Tensor bottom = narrow(mask, 0, side, half);
    torch::stable::fill_(narrow(bottom, 1, 0, half), 0);
    torch::stable::fill_(narrow(bottom, 1, half, half), 1);
    return mask;
}

/// Wait until the device has computed `mask`, so that other streams can read it.
inline void wait_for(torch::stable::Tensor& mask) {
    bool value = false;
    torch::stable::Tensor host = torch::stable::from_blob(
        &value, {1, 1}, {1, 1}, torch::stable::Device(torch::headeronly::DeviceType::CPU),
        torch::headeronly::ScalarType::Bool);
    torch::stable::Tensor row = torch::stable::narrow(mask, 0, 0, 1);
    torch::stable::copy_(host, torch::stable::narrow(row, 1, 0, 1));
}

/// Return the mask of `sparse_mode` on the device of `like`. One mask per device and shape, of 4 or
/// 6 MiB, is kept for the life of the process: destroying it at exit would come after the device is
/// closed. A mask that a graph captures is not kept: it has no values before the first replay.
inline torch::stable::Tensor compressed_mask(const torch::stable::Tensor& like,
                                             std::int64_t sparse_mode) {
    using torch::stable::Tensor;
    static std::mutex mutex;
    static auto* const masks = new std::map<std::pair<std::int32_t, bool>, Tensor>;
    const bool is_prefix = sparse_mode == prefix_mode;
    const auto key = std::make_pair(like.get_device_index(), is_prefix);
    const std::lock_guard<std::mutex> lock(mutex);
    const auto found = masks->find(key);
    if (found != masks->end()) {
        return found->second;
    }
    const aclnn::OnDeviceOf device(like);
    Tensor mask = make_compressed_mask(like, is_prefix);
    if (!aclnn::is_capturing()) {
        wait_for(mask);
        masks->emplace(key, mask);
    }
    return mask;
}

/// Return the mask that goes with `sparse_mode`: `whole`, or the compressed one.
inline std::optional<torch::stable::Tensor> mask_for(
    const torch::stable::Tensor& like, std::int64_t sparse_mode,
    const std::optional<torch::stable::Tensor>& whole = std::nullopt) {
    return sparse_mode > last_mode_with_whole_mask ? compressed_mask(like, sparse_mode) : whole;
}

}  // namespace ascend_ops
