// The tensors that a call writes to.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <cstdint>
#include <vector>

#include "npu/call/export.h"

namespace ascend_ops::aclnn {

using torch::stable::Tensor;

/// Make an uninitialized contiguous tensor on the device of `like`.
ASCEND_OPS_EXPORT Tensor make_empty(const Tensor& like, const std::vector<std::int64_t>& sizes,
                                    torch::headeronly::ScalarType dtype);

/// Make an uninitialized contiguous tensor with the shape, dtype and device of `like`.
ASCEND_OPS_EXPORT Tensor make_empty_like(const Tensor& like);

inline std::vector<std::int64_t> sizes_of(const Tensor& tensor) {
    const auto sizes = tensor.sizes();
    return {sizes.begin(), sizes.end()};
}

}  // namespace ascend_ops::aclnn
