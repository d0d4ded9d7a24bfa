// Adagrad for a gradient that contains only some rows, such as the gradient of an embedding.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <vector>

#include "cpu/adagrad/adagrad.h"
#include "cpu/optimizer/multi_tensor.h"

namespace ascend_ops {

inline std::vector<std::int64_t> read_indices(const Tensor& indices) {
    const HostTensor argument = host_tensor("indices", indices);
    if (argument.scalar_type != torch::headeronly::ScalarType::Long) {
        fail("indices", "have dtype int64", dtype_text(argument));
    }
    const IntArrayRef& sizes = argument.sizes;
    if (!(sizes.size() == 1 || (sizes.size() == 2 && sizes[0] == 1))) {
        fail("indices", "have shape [nnz] or [1, nnz]", to_text(sizes));
    }
    const Tensor dense = torch::stable::contiguous(indices);
    const auto* const first = static_cast<const std::int64_t*>(dense.const_data_ptr());
    return {first, first + dense.numel()};
}

inline void check_rows(const std::vector<std::int64_t>& rows, std::int64_t count) {
    for (const std::int64_t row : rows) {
        if (row < 0 || row >= count) {
            fail("indices", "be rows of params, 0 to " + std::to_string(count - 1),
                 std::to_string(row));
        }
    }
    std::vector<std::int64_t> sorted = rows;
    if (!std::is_sorted(rows.begin(), rows.end())) {  // coalesced indices are sorted
        std::sort(sorted.begin(), sorted.end());
    }
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) {
        fail("indices", "contain each row once",
             std::to_string(*twice) + " more than once: call coalesce() on the gradient");
    }
}

inline void check_values(const HostTensor& values, const HostTensor& params,
                         std::int64_t row_count) {
    const IntArrayRef& sizes = values.sizes;
    const IntArrayRef& expected = params.sizes;
    bool same = !expected.empty() && sizes.size() == expected.size() && sizes[0] == row_count;
    for (std::size_t i = 1; same && i < expected.size(); ++i) {
        same = sizes[i] == expected[i];
    }
    if (!same) {
        fail("values",
             "have one row of params for each of the " + std::to_string(row_count) + " indices",
             to_text(sizes));
    }
}

inline void check_contiguous(const HostTensor& tensor) {
    if (!tensor.is_contiguous()) {
        fail(tensor.name, "be contiguous",
             "strides " + to_text(tensor.strides) + ": pass a .contiguous() tensor");
    }
}

/// The update of some rows of params: values[k] is the gradient of row rows[k].
struct SparseStep {
    Tensor params;
    Tensor values;  // contiguous
    Tensor sum;
    std::vector<std::int64_t> rows;
    Plan plan;
};

/// Runs all checks without changing anything.
inline SparseStep plan_sparse_step(const Tensor& params, const Tensor& indices,
                                   const Tensor& values, const Tensor& sum,
                                   const AdagradHyperparameters& h) {
    const HostTensor params_argument = host_tensor("params", params);
    const HostTensor values_argument = host_tensor("values", values);
    const HostTensor sum_argument = host_tensor("sum", sum);
    check_contiguous(params_argument);
    check_contiguous(sum_argument);
    check_same_sizes(sum_argument, params_argument);
    SparseStep step = {params, values, sum, read_indices(indices), {}};
    check_values(values_argument, params_argument, static_cast<std::int64_t>(step.rows.size()));
    check_rows(step.rows, params_argument.sizes[0]);
    DTypes dtypes;
    dtypes.params = dtype_of(params_argument);
    dtypes.grads = params_dtype_or_float32(values_argument, dtypes.params);
    dtypes.states = params_dtype_or_float32(sum_argument, dtypes.params);
    check_disjoint(sum_argument, params_argument);
    check_disjoint(values_argument, params_argument);
    check_disjoint(values_argument, sum_argument);
    check_problem(plan_adagrad_step(h, dtypes, current_isa(), &step.plan));
    step.values = torch::stable::contiguous(values);
    return step;
}

/// The minimum number of elements per task, as in optimizer/multi_tensor.h.
constexpr std::int64_t sparse_grain = step_grain * step_block_size;

inline void run_sparse_step(const SparseStep& step) {
    const auto row_count = static_cast<std::int64_t>(step.rows.size());
    if (step.values.numel() == 0) {
        return;
    }
    const std::int64_t row_size = step.values.numel() / row_count;
    auto* const params = static_cast<unsigned char*>(step.params.mutable_data_ptr());
    auto* const sum = static_cast<unsigned char*>(step.sum.mutable_data_ptr());
    const auto* const values = static_cast<const unsigned char*>(step.values.const_data_ptr());
    const std::int64_t param_bytes = row_size * step.params.element_size();
    const std::int64_t sum_bytes = row_size * step.sum.element_size();
    const std::int64_t value_bytes = row_size * step.values.element_size();
    parallel_for(0, row_count, std::max<std::int64_t>(sparse_grain / row_size, 1),
                 [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t k = begin; k < end; ++k) {
                         const std::int64_t row = step.rows[static_cast<std::size_t>(k)];
                         const Tensors tensors = {params + row * param_bytes,
                                                  values + k * value_bytes,
                                                  {sum + row * sum_bytes}};
                         run_plan(step.plan, tensors, 0, row_size);
                     }
                 });
}

}  // namespace ascend_ops
