// The global norm of the gradients, and whether one of them is infinite or NaN, in one pass.
#pragma once

#include <cmath>
#include <vector>

#include "cpu/optimizer/parameters.h"
#include "cpu/optimizer/total_square_sum.h"

namespace ascend_ops {

struct GradNorm {
    double norm;     // of the gradients, divided by the loss scale
    bool found_inf;  // also true for a NaN
};

inline void check_positive(const char* argument, double value) {
    if (!(value > 0.0) || std::isinf(value)) {
        fail(argument, "be a finite number above 0", to_text(value));
    }
}

/// Returns whether the elements fill the memory from the first to the last, each once.
inline bool is_dense(const HostTensor& tensor) {
    return tensor.extent == tensor.numel && !overlaps_itself(tensor);
}

inline GradNorm global_norm(const TensorList& grads, double loss_scale) {
    check_positive("loss_scale", loss_scale);
    std::vector<Tensor> copies;  // alive while they are read
    std::vector<Elements> arrays;
    arrays.reserve(grads.tensors.size());
    for (std::size_t i = 0; i < grads.tensors.size(); ++i) {
        const HostTensor grad = grads.at(i);
        const void* first = grad.data;
        if (!is_dense(grad)) {
            copies.push_back(torch::stable::contiguous(grads.tensors[i]));
            first = copies.back().const_data_ptr();
        }
        arrays.push_back({first, dtype_of(grad), grad.numel});
    }
    const double total = total_square_sum(current_isa(), arrays);
    return {std::sqrt(total) / loss_scale, !std::isfinite(total)};
}

/// Returns the factor of the gradients: 1 / loss_scale, times min(1, max_norm / (norm + 1e-6)), as
/// in torch.nn.utils.clip_grad_norm_. A max_norm of 0 or less, or an infinite one, does not clip.
inline double grad_scale(double loss_scale, double max_norm, double norm) {
    check_positive("loss_scale", loss_scale);
    if (std::isnan(max_norm)) {
        fail("max_norm", "be a number", "nan: pass 0 to clip nothing");
    }
    const bool clips = max_norm > 0.0 && !std::isinf(max_norm);
    return (clips ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0) / loss_scale;
}

}  // namespace ascend_ops
