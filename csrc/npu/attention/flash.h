// What flash attention of equally long sequences and that of any lengths share.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "npu/call/outputs.h"
#include "npu/call/registration.h"

namespace ascend_ops {

using torch::stable::Tensor;
using OptionalTensor = std::optional<Tensor>;
using OptionalInts = std::optional<std::vector<std::int64_t>>;

/// Of the statistics, which repeat one number so often.
constexpr std::int64_t kStatisticsColumns = 8;
constexpr std::int64_t kHighPrecision = 0;
/// "pseType": scale * product + bias. The oldest versions, which have no type, add before scaling.
constexpr std::int64_t kBiasAfterScale = 0;
inline const OptionalTensor kNone;
inline const OptionalInts kNoInts;

/// The output's: the values may have fewer elements a head than the queries.
inline std::vector<std::int64_t> output_sizes(const Tensor& query, const Tensor& key,
                                              const Tensor& value) {
    std::vector<std::int64_t> sizes = aclnn::sizes_of(query);
    const std::int64_t of_key = key.size(key.dim() - 1);
    const std::int64_t of_value = value.size(value.dim() - 1);
    if (of_key != of_value) {
        sizes.back() = sizes.back() * of_value / of_key;
    }
    return sizes;
}

std::vector<aclnn::Kernel> varlen_kernels();

}  // namespace ascend_ops
