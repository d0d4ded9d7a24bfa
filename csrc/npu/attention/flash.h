// Shared by flash attention of dense tensors and of concatenated sequences.
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

/// The statistics of a row are one number, repeated this many times.
constexpr std::int64_t statistics_columns = 8;
constexpr std::int64_t high_precision = 0;
/// "pseType": scale * product + bias. The oldest versions have no such argument and add the bias
/// before scaling.
constexpr std::int64_t bias_after_scale = 0;
inline const OptionalTensor no_tensor;
inline const OptionalInts no_ints;

/// Return the sizes of the output: those of query, with the head_dim of value.
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
