// The limit of an optimizer's step: its memory traffic and nothing else.
//
// For every element, read param, grad and one or two states, and write param, the states and, if
// there is one, a 16-bit copy of param. Any in-place step must move these bytes, for example 28
// per element for Adam in fp32. The arithmetic is one AND and one XOR per array with a mask that is
// 0, which the compiler cannot know. Values do not change, so that the loop can run on the arrays
// of the optimizers, between their steps.
//
// An offload step reads its gradients once more before, for their norm; read_grads does the same.
//
// Each of torch's threads processes one contiguous range, as in the optimizers.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <stdexcept>

namespace {

// One row of the table per parameter: addresses, or 0 for an array that is absent.
struct Row {
    std::int64_t param, grad, state0, state1, copy;
    std::int64_t begin, end;  // its elements, counted over all parameters
};

struct Table {
    const Row* rows;
    std::int64_t count;

    explicit Table(const torch::stable::Tensor& table)
        : rows(static_cast<const Row*>(table.const_data_ptr())), count(table.size(0)) {}
};

// In the blocked order, the elements of one array before the next array: 16 KiB of fp32.
constexpr std::int64_t block_size = 4096;
constexpr std::int64_t elements_per_unit = 1024;
constexpr std::int64_t units_per_task = 32;

template <class T>
T masked(T value, std::uint32_t mask) {
    return static_cast<T>(value ^ static_cast<T>(mask));
}

template <class Param, class Grad, class State, bool second_state, bool with_copy>
struct Loop {
    Param* __restrict param;
    const Grad* __restrict grad;
    State* __restrict state0;
    State* __restrict state1;
    std::uint16_t* __restrict copy;
    std::uint32_t mask;

    void update_param(std::int64_t i) const {
        param[i] =
            static_cast<Param>(param[i] ^ (static_cast<Param>(grad[i]) & static_cast<Param>(mask)));
        if constexpr (with_copy) {
            copy[i] = static_cast<std::uint16_t>(param[i] >> (8 * sizeof(Param) - 16));
        }
    }

    void plain(std::int64_t count) const {
        for (std::int64_t i = 0; i < count; ++i) {
            update_param(i);
            state0[i] = masked(state0[i], mask);
            if constexpr (second_state) {
                state1[i] = masked(state1[i], mask);
            }
        }
    }

    void blocked(std::int64_t count) const {
        for (std::int64_t begin = 0; begin < count; begin += block_size) {
            const std::int64_t end = std::min(count, begin + block_size);
            for (std::int64_t i = begin; i < end; ++i) {
                update_param(i);
            }
            for (std::int64_t i = begin; i < end; ++i) {
                state0[i] = masked(state0[i], mask);
            }
            if constexpr (second_state) {
                for (std::int64_t i = begin; i < end; ++i) {
                    state1[i] = masked(state1[i], mask);
                }
            }
        }
    }
};

template <class Element>
Element* at(std::int64_t address, std::int64_t offset) {
    return reinterpret_cast<Element*>(address) + offset;
}

// Calls work(row, offset, count) for all elements, in parallel.
template <class Work>
void for_all(const Table& table, const Work& work) {
    const std::int64_t total = table.count == 0 ? 0 : table.rows[table.count - 1].end;
    const auto run = [&](std::int64_t begin, std::int64_t end) {
        const Row* row = std::upper_bound(
            table.rows, table.rows + table.count, begin,
            [](std::int64_t element, const Row& candidate) { return element < candidate.end; });
        for (; begin < end; ++row) {
            const std::int64_t count = std::min(end, row->end) - begin;
            work(*row, begin - row->begin, count);
            begin += count;
        }
    };
    const std::int64_t units = (total + elements_per_unit - 1) / elements_per_unit;
    torch::stable::parallel_for(
        0, units, units_per_task, [&](std::int64_t first, std::int64_t last) {
            run(first * elements_per_unit, std::min(last * elements_per_unit, total));
        });
}

template <class Param, class Grad, class State, bool second_state, bool with_copy>
void stream_as(const Table& table, bool blocked, std::uint32_t mask) {
    for_all(table, [=](const Row& row, std::int64_t offset, std::int64_t count) {
        const Loop<Param, Grad, State, second_state, with_copy> loop = {
            at<Param>(row.param, offset),        at<const Grad>(row.grad, offset),
            at<State>(row.state0, offset),       at<State>(row.state1, offset),
            at<std::uint16_t>(row.copy, offset), mask};
        blocked ? loop.blocked(count) : loop.plain(count);
    });
}

// Only offload steps have a copy; all their arrays except for the gradients are fp32.
template <class Param, class Grad, class State>
void stream(const Table& table, bool blocked, std::uint32_t mask) {
    const bool second_state = table.count != 0 && table.rows[0].state1 != 0;
    if (table.count != 0 && table.rows[0].copy != 0) {
        if constexpr (sizeof(Param) == 4 && sizeof(Grad) == 2 && sizeof(State) == 4) {
            return stream_as<Param, Grad, State, true, true>(table, blocked, mask);
        }
        throw std::invalid_argument("copies: expected params and states of 4 bytes, grads of 2");
    }
    if (second_state) {
        stream_as<Param, Grad, State, true, false>(table, blocked, mask);
    } else {
        stream_as<Param, Grad, State, false, false>(table, blocked, mask);
    }
}

// `table` holds Rows, as int64 [parameters, 7]; the other numbers are the bytes of an element.
void run_stream(torch::stable::Tensor table, std::int64_t param_bytes, std::int64_t grad_bytes,
                std::int64_t state_bytes, bool blocked, std::int64_t mask) {
    using Wide = std::uint32_t;
    using Narrow = std::uint16_t;
    using Stream = void (*)(const Table&, bool, std::uint32_t);
    static constexpr Stream streams[2][2][2] = {
        {{stream<Narrow, Narrow, Narrow>, stream<Narrow, Narrow, Wide>},
         {stream<Narrow, Wide, Narrow>, stream<Narrow, Wide, Wide>}},
        {{stream<Wide, Narrow, Narrow>, stream<Wide, Narrow, Wide>},
         {stream<Wide, Wide, Narrow>, stream<Wide, Wide, Wide>}},
    };
    const auto chosen = streams[param_bytes == 4][grad_bytes == 4][state_bytes == 4];
    chosen(Table(table), blocked, static_cast<std::uint32_t>(mask));
}

template <class Grad>
std::int64_t read_as(const Table& table) {
    std::atomic<std::uint32_t> all{0};
    for_all(table, [&](const Row& row, std::int64_t offset, std::int64_t count) {
        const Grad* const grad = at<const Grad>(row.grad, offset);
        Grad found = 0;
        for (std::int64_t i = 0; i < count; ++i) {
            found = static_cast<Grad>(found ^ grad[i]);
        }
        all ^= found;
    });
    return all;
}

// Return the XOR of all gradients, which depends on each of them.
std::int64_t read_grads(torch::stable::Tensor table, std::int64_t grad_bytes) {
    return grad_bytes == 4 ? read_as<std::uint32_t>(Table(table))
                           : read_as<std::uint16_t>(Table(table));
}

}  // namespace

STABLE_TORCH_LIBRARY(ascend_ops_bench_stream, library) {
    library.def(
        "stream(Tensor table, int param_bytes, int grad_bytes, int state_bytes, bool blocked, "
        "int mask) -> ()");
    library.def("read_grads(Tensor table, int grad_bytes) -> int");
}

STABLE_TORCH_LIBRARY_IMPL(ascend_ops_bench_stream, CPU, library) {
    library.impl("stream", TORCH_BOX(&run_stream));
    library.impl("read_grads", TORCH_BOX(&read_grads));
}
