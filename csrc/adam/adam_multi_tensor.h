// One Adam update of many tensors: all checked, then all run in one parallel region.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "adam.h"
#include "adam_arguments.h"
#include "ascend_ops/isa.h"
#include "ascend_ops/torch_no_grad.h"

namespace ascend_ops {

/// The update of one parameter: checked tensors and a plan for their dtypes.
struct AdamWork {
    AdamArguments tensors;
    AdamPlan plan;
};

/// The tensors of many parameters, a list for each role.
struct AdamTensorLists {
    explicit AdamTensorLists(ArgumentReader& arguments)
        : params(arguments.take<std::vector<Tensor>>()),
          grads(arguments.take<std::vector<Tensor>>()),
          exp_avgs(arguments.take<std::vector<Tensor>>()),
          exp_avg_sqs(arguments.take<std::vector<Tensor>>()) {}

    std::vector<Tensor> params;
    std::vector<Tensor> grads;
    std::vector<Tensor> exp_avgs;
    std::vector<Tensor> exp_avg_sqs;
};

inline void check_plan(const AdamProblem& problem) {
    if (problem.argument != nullptr) {
        fail(problem.argument, problem.wanted, to_text(problem.found));
    }
}

inline void check_length(const char* name, std::size_t found, std::size_t wanted) {
    if (found != wanted) {
        fail(name, "as many as params, " + std::to_string(wanted), std::to_string(found));
    }
}

/// Refuses parameters that share memory with others, or with their states: two threads would write
/// it. Tensors with holes are left out: they may interleave without meeting, and are not run in
/// parallel.
inline void check_all_disjoint(const std::vector<AdamWork>& work) {
    std::vector<MemoryRange> written;
    for (const AdamWork& item : work) {
        for (const TensorArgument* argument :
             {&item.tensors.params, &item.tensors.exp_avg, &item.tensors.exp_avg_sq}) {
            if (argument->tensor.numel() != 0 &&
                extent(argument->tensor) == argument->tensor.numel()) {
                written.emplace_back(argument->tensor);
            }
        }
    }
    std::sort(written.begin(), written.end(),
              [](const MemoryRange& a, const MemoryRange& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < written.size(); ++i) {
        if (written[i].begin < written[i - 1].end) {
            fail("params", "parameters and states that do not overlap in memory",
                 "two that share " +
                     std::to_string(std::min(written[i - 1].end, written[i].end) -
                                    written[i].begin) +
                     " bytes");
        }
    }
}

/// All checks of a step over lists; nothing is changed. `hyperparameters.step` is taken from
/// `steps`.
inline std::vector<AdamWork> plan_multi_tensor_step(const AdamTensorLists& lists,
                                                    const std::vector<std::int64_t>& steps,
                                                    AdamHyperparameters hyperparameters) {
    const std::size_t count = lists.params.size();
    check_length("grads", lists.grads.size(), count);
    check_length("exp_avgs", lists.exp_avgs.size(), count);
    check_length("exp_avg_sqs", lists.exp_avg_sqs.size(), count);
    check_length("steps", steps.size(), count);
    std::vector<AdamWork> work;
    work.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        try {
            work.push_back(
                {{lists.params[i], lists.grads[i], lists.exp_avgs[i], lists.exp_avg_sqs[i]}, {}});
            const AdamDTypes dtypes = check_tensors(work.back().tensors);
            hyperparameters.step = steps[i];
            check_plan(plan_adam_step(hyperparameters, dtypes, current_isa(), &work.back().plan));
        } catch (const std::runtime_error& error) {
            throw std::runtime_error("parameter " + std::to_string(i) + " of " +
                                     std::to_string(count) + ": " + error.what());
        }
    }
    check_all_disjoint(work);
    return work;
}

inline void run_on_copies(const AdamPlan& plan, const AdamArguments& arguments) {
    const NoGradGuard no_grad;
    const Tensor params = torch::stable::contiguous(arguments.params.tensor);
    const Tensor grads = torch::stable::contiguous(arguments.grads.tensor);
    const Tensor exp_avg = torch::stable::contiguous(arguments.exp_avg.tensor);
    const Tensor exp_avg_sq = torch::stable::contiguous(arguments.exp_avg_sq.tensor);
    run_adam(plan,
             {params.mutable_data_ptr(), grads.const_data_ptr(), exp_avg.mutable_data_ptr(),
              exp_avg_sq.mutable_data_ptr()},
             0, params.numel());
    const auto copy_back = [](const TensorArgument& argument, const Tensor& copy) {
        if (!argument.tensor.is_contiguous()) {
            Tensor original = argument.tensor;
            torch::stable::copy_(original, copy);
        }
    };
    copy_back(arguments.params, params);
    copy_back(arguments.exp_avg, exp_avg);
    copy_back(arguments.exp_avg_sq, exp_avg_sq);
}

/// Elements of one block: tasks begin at multiples of it, so that two threads share no cache line.
constexpr std::int64_t block_size = 1024;
/// Blocks that a task has at least: at 28 bytes an element about as long as starting the threads.
constexpr std::int64_t blocks_a_task = 32;

/// A parameter's memory as a run of blocks among those of all parameters.
struct BlockRun {
    const AdamPlan* plan;
    AdamTensors tensors;
    std::int64_t numel;
    std::int64_t first_block;
};

inline void run_blocks(const std::vector<BlockRun>& runs, std::int64_t begin, std::int64_t end) {
    auto run = std::upper_bound(
        runs.begin(), runs.end(), begin,
        [](std::int64_t block, const BlockRun& other) { return block < other.first_block; });
    for (--run; begin < end; ++run) {
        const std::int64_t blocks = (run->numel + block_size - 1) / block_size;
        const std::int64_t last = std::min(end, run->first_block + blocks);
        run_adam(*run->plan, run->tensors, (begin - run->first_block) * block_size,
                 std::min((last - run->first_block) * block_size, run->numel));
        begin = last;
    }
}

/// Runs checked work: what lies densely in memory in one parallel region, split by size and not by
/// tensor; the rest on copies.
inline void run(const std::vector<AdamWork>& work) {
    std::vector<BlockRun> runs;
    runs.reserve(work.size());
    std::int64_t blocks = 0;
    for (const AdamWork& item : work) {
        const Tensor& params = item.tensors.params.tensor;
        const std::int64_t numel = params.numel();
        if (numel == 0) {
            continue;
        }
        if (!share_dense_layout(item.tensors)) {
            run_on_copies(item.plan, item.tensors);
            continue;
        }
        runs.push_back({&item.plan,
                        {params.mutable_data_ptr(), item.tensors.grads.tensor.const_data_ptr(),
                         item.tensors.exp_avg.tensor.mutable_data_ptr(),
                         item.tensors.exp_avg_sq.tensor.mutable_data_ptr()},
                        numel,
                        blocks});
        blocks += (numel + block_size - 1) / block_size;
    }
    torch::stable::parallel_for(
        0, blocks, blocks_a_task,
        [&](std::int64_t begin, std::int64_t end) { run_blocks(runs, begin, end); });
}

}  // namespace ascend_ops
