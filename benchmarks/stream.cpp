// The limit of an optimizer's step: its memory traffic and nothing else.
//
// For every element: read param, grad and two states, write param and the states back to where they
// came from. That is what any step in place has to move: 28 bytes with everything in fp32. The
// arithmetic is one AND and three XORs with a mask that is 0, which a compiler cannot know: values
// stay as they are, so the loop can take its turn on the arrays that the optimizers work on.
//
// Threads are torch's own, one contiguous range each, as in the optimizers measured beside it.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>

namespace {

// One row of the table for each parameter.
struct Row {
    std::int64_t param, grad, exp_avg, exp_avg_sq;  // addresses
    std::int64_t begin, end;                        // its elements, counted over all parameters
};

// Elements of one array before the next has its turn, in the blocked order: 16 KiB of fp32.
constexpr std::int64_t block_size = 4096;
constexpr std::int64_t elements_per_unit = 1024;
constexpr std::int64_t units_per_task = 32;

template <class Param, class Grad, class State>
void stream_plain(Param* __restrict param, const Grad* __restrict grad, State* __restrict exp_avg,
                  State* __restrict exp_avg_sq, std::int64_t count, std::uint32_t mask) {
    const auto param_mask = static_cast<Param>(mask);
    const auto state_mask = static_cast<State>(mask);
    for (std::int64_t i = 0; i < count; ++i) {
        param[i] = static_cast<Param>(param[i] ^ (static_cast<Param>(grad[i]) & param_mask));
        exp_avg[i] = static_cast<State>(exp_avg[i] ^ state_mask);
        exp_avg_sq[i] = static_cast<State>(exp_avg_sq[i] ^ state_mask);
    }
}

template <class Param, class Grad, class State>
void stream_blocked(Param* __restrict param, const Grad* __restrict grad, State* __restrict exp_avg,
                    State* __restrict exp_avg_sq, std::int64_t count, std::uint32_t mask) {
    const auto param_mask = static_cast<Param>(mask);
    const auto state_mask = static_cast<State>(mask);
    for (std::int64_t begin = 0; begin < count; begin += block_size) {
        const std::int64_t end = std::min(count, begin + block_size);
        for (std::int64_t i = begin; i < end; ++i) {
            param[i] = static_cast<Param>(param[i] ^ (static_cast<Param>(grad[i]) & param_mask));
        }
        for (std::int64_t i = begin; i < end; ++i) {
            exp_avg[i] = static_cast<State>(exp_avg[i] ^ state_mask);
        }
        for (std::int64_t i = begin; i < end; ++i) {
            exp_avg_sq[i] = static_cast<State>(exp_avg_sq[i] ^ state_mask);
        }
    }
}

template <class Element>
Element* at(std::int64_t address, std::int64_t offset) {
    return reinterpret_cast<Element*>(address) + offset;
}

template <class Param, class Grad, class State>
void stream(const Row* rows, std::int64_t row_count, bool blocked, std::uint32_t mask) {
    const auto loop =
        blocked ? stream_blocked<Param, Grad, State> : stream_plain<Param, Grad, State>;
    const std::int64_t total = row_count == 0 ? 0 : rows[row_count - 1].end;
    const auto run = [=](std::int64_t begin, std::int64_t end) {
        const Row* row = std::upper_bound(
            rows, rows + row_count, begin,
            [](std::int64_t element, const Row& candidate) { return element < candidate.end; });
        for (; begin < end; ++row) {
            const std::int64_t offset = begin - row->begin;
            const std::int64_t count = std::min(end, row->end) - begin;
            loop(at<Param>(row->param, offset), at<const Grad>(row->grad, offset),
                 at<State>(row->exp_avg, offset), at<State>(row->exp_avg_sq, offset), count, mask);
            begin += count;
        }
    };
    const std::int64_t units = (total + elements_per_unit - 1) / elements_per_unit;
    torch::stable::parallel_for(
        0, units, units_per_task, [&](std::int64_t first, std::int64_t last) {
            run(first * elements_per_unit, std::min(last * elements_per_unit, total));
        });
}

using Stream = void (*)(const Row*, std::int64_t, bool, std::uint32_t);

// `table` holds Rows, as int64 [parameters, 6]; the other numbers are the bytes of an element.
void run_stream(torch::stable::Tensor table, std::int64_t param_bytes, std::int64_t grad_bytes,
                std::int64_t state_bytes, bool blocked, std::int64_t mask) {
    using Wide = std::uint32_t;
    using Narrow = std::uint16_t;
    static constexpr Stream streams[2][2][2] = {
        {{stream<Narrow, Narrow, Narrow>, stream<Narrow, Narrow, Wide>},
         {stream<Narrow, Wide, Narrow>, stream<Narrow, Wide, Wide>}},
        {{stream<Wide, Narrow, Narrow>, stream<Wide, Narrow, Wide>},
         {stream<Wide, Wide, Narrow>, stream<Wide, Wide, Wide>}},
    };
    const auto chosen = streams[param_bytes == 4][grad_bytes == 4][state_bytes == 4];
    chosen(static_cast<const Row*>(table.const_data_ptr()), table.size(0), blocked,
           static_cast<std::uint32_t>(mask));
}

}  // namespace

STABLE_TORCH_LIBRARY(ascend_ops_bench_stream, library) {
    library.def(
        "stream(Tensor table, int param_bytes, int grad_bytes, int state_bytes, bool blocked, "
        "int mask) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(ascend_ops_bench_stream, CPU, library) {
    library.impl("stream", TORCH_BOX(&run_stream));
}
