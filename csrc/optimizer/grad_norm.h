// The global norm of gradients, and whether one of them is infinite or NaN, in one pass.
//
// Blocks of a fixed size are summed apart, in an order that the instruction set does not change,
// and their sums pairwise: the result is the same bits for any number of threads. Squares are exact
// and sums are in double, so neither overflows nor loses what is small.
#pragma once

#include <cmath>
#include <vector>

#include "blocks.h"
#include "parameters.h"

namespace ascend_ops {

constexpr std::int64_t norm_block_size = 8192;
constexpr std::int64_t norm_grain = 8;

struct GradNorm {
    double norm;     // of the gradients divided by the loss scale
    bool found_inf;  // or a NaN
};

inline double pairwise_sum(const double* values, std::size_t count) {
    if (count <= 2) {
        return count == 0 ? 0.0 : values[0] + (count == 2 ? values[1] : 0.0);
    }
    const std::size_t half = count / 2;
    return pairwise_sum(values, half) + pairwise_sum(values + half, count - half);
}

inline void check_positive(const char* argument, double value) {
    if (!(value > 0.0) || std::isinf(value)) {
        fail(argument, "a finite number above 0", to_text(value));
    }
}

/// Each element once, from the first in memory to the last.
inline bool is_dense(const TensorArgument& argument) {
    return extent(argument.tensor) == argument.tensor.numel() && !overlaps_itself(argument.tensor);
}

inline GradNorm global_norm(const TensorList& grads, double loss_scale) {
    check_positive("loss_scale", loss_scale);
    const std::size_t count = grads.tensors.size();
    std::vector<Tensor> copies;  // keeps them alive
    std::vector<const void*> elements(count);
    std::vector<DType> dtypes(count);
    Blocks blocks(norm_block_size);
    for (std::size_t i = 0; i < count; ++i) {
        check_strided_cpu(grads.at(i));
        dtypes[i] = dtype_of(grads.at(i));
        elements[i] = grads.tensors[i].const_data_ptr();
        if (!is_dense(grads.at(i))) {
            copies.push_back(torch::stable::contiguous(grads.tensors[i]));
            elements[i] = copies.back().const_data_ptr();
        }
        blocks.add(i, 0, grads.tensors[i].numel());
    }
    std::vector<double> sums(static_cast<std::size_t>(blocks.count()));
    const Isa isa = current_isa();
    const auto sum = [&](std::size_t i, std::int64_t begin, std::int64_t end, std::int64_t block) {
        for (; begin < end; begin += norm_block_size, ++block) {
            sums[static_cast<std::size_t>(block)] = square_sum(
                isa, dtypes[i], elements[i], begin, std::min(begin + norm_block_size, end));
        }
    };
    blocks.run(norm_grain, sum);
    const double total = pairwise_sum(sums.data(), sums.size());
    return {std::sqrt(total) / loss_scale, !std::isfinite(total)};
}

/// What gradients are multiplied by: 1 / loss_scale, and as torch.nn.utils.clip_grad_norm_ does
/// min(1, max_norm / (norm + 1e-6)); no clipping for a max_norm of 0 or less, or infinite.
inline double grad_scale(double loss_scale, double max_norm, double norm) {
    check_positive("loss_scale", loss_scale);
    if (std::isnan(max_norm)) {
        fail("max_norm", "a number", "nan");
    }
    const bool clips = max_norm > 0.0 && !std::isinf(max_norm);
    return (clips ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0) / loss_scale;
}

}  // namespace ascend_ops
