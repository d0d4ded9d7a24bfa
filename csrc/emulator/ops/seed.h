// Seeds that a graph keeps in device memory, so that each replay draws other numbers.
#pragma once

#include "emulator/ops/checks.h"

namespace ascend_emulator {

/// The seed and the offset in tensors of one element; `more` is added to the offset.
inline Seed seed_in(const Tensor& seed, const Tensor& offset, std::int64_t more) {
    const auto value = [](const Tensor& tensor) {
        const Tensor wide = tensor.to(DType::int64);
        return *static_cast<const std::int64_t*>(wide.data());
    };
    require_one_element("seedTensor", seed);
    require_one_element("offsetTensor", offset);
    return {value(seed), value(offset) + more};
}

}  // namespace ascend_emulator
