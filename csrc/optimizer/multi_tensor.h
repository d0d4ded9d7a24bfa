// Runs checked updates of many tensors in one parallel region.
#pragma once

#include <limits>
#include <vector>

#include "ascend_ops/torch_no_grad.h"
#include "blocks.h"
#include "parameters.h"

namespace ascend_ops {

/// Elements of one block: tasks begin at multiples of it, so that two threads share no cache line.
constexpr std::int64_t step_block_size = 1024;
/// Blocks that a task has at least: at 28 bytes an element about as long as starting the threads.
constexpr std::int64_t step_grain = 32;

/// A range of the elements of all parameters, counted through in their order.
struct ElementRange {
    std::int64_t begin = 0;
    std::int64_t end = std::numeric_limits<std::int64_t>::max();
};

/// Whether the update may run over the memory of all of them from first to last.
inline bool share_dense_layout(const std::vector<const TensorList*>& roles, std::size_t i) {
    const Tensor& params = roles[0]->tensors[i];
    return std::all_of(roles.begin(), roles.end(), [&](const TensorList* role) {
        return same_dense_layout(params, role->tensors[i]);
    });
}

inline void run_on_copies(const Plan& plan, const Parameters& parameters, std::size_t i,
                          std::int64_t begin, std::int64_t end) {
    const NoGradGuard no_grad;
    const auto copy = [i](const TensorList& list) {
        return TensorList{list.name, {torch::stable::contiguous(list.tensors[i])}};
    };
    Parameters copies = {copy(parameters.params), copy(parameters.grads), {}};
    for (const TensorList& list : parameters.states) {
        copies.states.push_back(copy(list));
    }
    if (parameters.has_copies()) {
        copies.low_precision_params = copy(parameters.low_precision_params);
    }
    run_plan(plan, copies.pointers(0), begin, end);
    const std::vector<const TensorList*> originals = parameters.roles();
    const std::vector<const TensorList*> updated = copies.roles();
    for (std::size_t k = 0; k + 1 < originals.size(); ++k) {  // all but grads
        Tensor original = originals[k]->tensors[i];
        if (!original.is_contiguous()) {
            torch::stable::copy_(original, updated[k]->tensors[0]);
        }
    }
}

/// What lies densely in memory in one parallel region, split by size and not by tensor; the rest on
/// copies.
inline void run_all(const Parameters& parameters, const std::vector<Plan>& plans,
                    const ElementRange& range = {}) {
    const std::vector<const TensorList*> roles = parameters.roles();
    std::vector<Tensors> pointers(plans.size());
    Blocks blocks(step_block_size);
    std::int64_t before = 0;
    for (std::size_t i = 0; i < plans.size(); ++i) {
        const std::int64_t numel = parameters.params.tensors[i].numel();
        const std::int64_t begin = std::min(std::max<std::int64_t>(range.begin - before, 0), numel);
        const std::int64_t end = std::min(range.end - before, numel);
        before += numel;
        if (begin >= end) {
            continue;
        }
        if (!share_dense_layout(roles, i)) {
            run_on_copies(plans[i], parameters, i, begin, end);
            continue;
        }
        pointers[i] = parameters.pointers(i);
        blocks.add(i, begin, end);
    }
    blocks.run(step_grain, [&](std::size_t i, std::int64_t begin, std::int64_t end, std::int64_t) {
        run_plan(plans[i], pointers[i], begin, end);
    });
}

}  // namespace ascend_ops
