// Runs the checked updates of many tensors in one parallel region.
#pragma once

#include <limits>
#include <vector>

#include "cpu/optimizer/blocks.h"
#include "cpu/optimizer/parameters.h"
#include "cpu/torch_no_grad.h"

namespace ascend_ops {

/// Elements per block. Tasks begin at multiples of it, so that no two threads share a cache line.
constexpr std::int64_t step_block_size = 1024;
/// The minimum number of blocks per task: at 28 bytes per element, a task takes about as long as
/// starting the threads.
constexpr std::int64_t step_grain = 32;

/// A range of elements, numbered across all parameters in their order.
struct ElementRange {
    std::int64_t begin = 0;
    std::int64_t end = std::numeric_limits<std::int64_t>::max();
};

inline void run_on_copies(const Plan& plan, const Parameters& parameters, std::size_t i,
                          std::int64_t begin, std::int64_t end) {
    const NoGradGuard no_grad;
    const auto copy = [i](const TensorList& list) {
        return TensorList{list.name, {torch::stable::contiguous(list.tensors[i])}, {}};
    };
    Parameters copies = {copy(parameters.params), copy(parameters.grads), {}};
    for (const TensorList& list : parameters.states) {
        copies.states.push_back(copy(list));
    }
    if (parameters.has_copies()) {
        copies.low_precision_params = copy(parameters.low_precision_params);
    }
    Roles roles(copies);
    roles.read(0);
    run_plan(plan, roles.pointers(), begin, end);
    const std::vector<const TensorList*> originals = parameters.roles();
    for (std::size_t k = 0; k < roles.written_count(); ++k) {  // grads are only read
        Tensor original = originals[k]->tensors[i];
        if (!original.is_contiguous()) {
            torch::stable::copy_(original, roles.lists()[k]->tensors[0]);
        }
    }
}

/// Updates tensors that are dense in memory in one parallel region, split by size and not by
/// tensor, and all others on contiguous copies.
inline void run_all(const Parameters& parameters, const std::vector<Update>& updates,
                    const ElementRange& range = {}) {
    struct Copied {
        std::size_t index;
        std::int64_t begin;
        std::int64_t end;
    };
    Blocks blocks(step_block_size);
    std::vector<Copied> copied;
    std::int64_t before = 0;
    for (std::size_t i = 0; i < updates.size(); ++i) {
        const std::int64_t numel = updates[i].numel;
        const std::int64_t begin = std::min(std::max<std::int64_t>(range.begin - before, 0), numel);
        const std::int64_t end = std::min(range.end - before, numel);
        before += numel;
        if (begin >= end) {
            continue;
        }
        if (updates[i].dense) {
            blocks.add(i, begin, end);
        } else {
            copied.push_back({i, begin, end});
        }
    }
    check_threads(blocks.count(), step_grain);
    for (const Copied& range : copied) {
        run_on_copies(updates[range.index].plan, parameters, range.index, range.begin, range.end);
    }
    blocks.run(step_grain, [&](std::size_t i, std::int64_t begin, std::int64_t end, std::int64_t) {
        run_plan(updates[i].plan, updates[i].pointers, begin, end);
    });
}

}  // namespace ascend_ops
