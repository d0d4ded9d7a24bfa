// The loop around a formula, over the Vec of whichever simd header is included before this one. The
// formula is the file formula.h of the optimizer's folder, which is on the include path.
//
// Everything has internal linkage and nothing of the C++ library with code in it is included:
// each including file is compiled for another instruction set (see simd/scalar.h).
#pragma once

#include <cstddef>
#include <type_traits>

#include "copied_elements.h"
#include "formula.h"
#include "kernels.h"

namespace ascend_ops {
namespace {

struct Step {
    template <class... Vecs>
    [[gnu::always_inline]] static void update(const Formula::Coefficients& c, Vecs&... x) {
        Formula::step(c, x...);
    }
};

// Undoes Step. A template, so that only an optimizer that has it is asked for it.
template <class F>
struct Rollback {
    template <class... Vecs>
    [[gnu::always_inline]] static void update(const Formula::Coefficients& c, Vecs&... x) {
        F::rollback(c, x...);
    }
};

struct NoCopy {};

// The copy is for the device: written past the caches, which need not fetch its lines first, the
// pass takes 5 to 8% less time.
inline void stream_copy(NoCopy*, std::int64_t, Vec) {}
template <class T>
[[gnu::always_inline]] inline void stream_copy(T* to, std::int64_t i, Vec v) {
    stream(to + i, v);
}

// One Vec a turn, plain loads and stores. With 64 Mi fp32 params on two cores that is 0.99 to 1.0
// of a loop that only moves the same 28 bytes an element. Measured beside it: two Vecs a turn, and
// prefetching 1 or 4 KiB ahead, make no difference; non-temporal stores of params and states cost 3
// to 5%.
template <class Update, class Param, class Grad, class State, class Copy>
void run(const Plan& plan, const Tensors& tensors, std::int64_t begin, std::int64_t end) {
    const auto c = plan.coefficients.as<Formula::Coefficients>();
    Param* const params = static_cast<Param*>(tensors.params);
    const Grad* const grads = static_cast<const Grad*>(tensors.grads);
    State* const states0 = static_cast<State*>(tensors.states[0]);
    State* const states1 = static_cast<State*>(tensors.states[1]);
    Copy* const copies = static_cast<Copy*>(tensors.low_precision_params);
    const std::int64_t lanes = width();

    std::int64_t i = begin;
    for (; end - i >= lanes; i += lanes) {
        Vec param = load(params + i);
        Vec grad = load(grads + i);
        Vec state0 = load(states0 + i);
        // params last: they wait for a division, the states do not (3% faster in cache)
        if constexpr (Formula::state_count == 1) {
            Update::update(c, param, grad, state0);
            store(states0 + i, state0);
        } else {
            Vec state1 = load(states1 + i);
            Update::update(c, param, grad, state0, state1);
            store(states0 + i, state0);
            store(states1 + i, state1);
        }
        store(params + i, param);
        stream_copy(copies, i, param);
    }
    if constexpr (!std::is_same<Copy, NoCopy>::value) {
        finish_streams();
    }
    if (i < end) {
        run_tail(run<Update, Param, Grad, State, Copy>, plan, tensors, i, end);
    }
}

template <class Update>
void run_staged(const Plan& plan, const Tensors& tensors, std::int64_t begin, std::int64_t end) {
    run_in_blocks(run<Update, float, float, float, NoCopy>, plan, tensors, begin, end);
}

template <class T>
double square_sum_of(const void* elements, std::int64_t count) {
    const T* const values = static_cast<const T*>(elements);
    SquareSums sums;
    std::int64_t i = 0;
    for (; count - i >= square_sum_lanes; i += square_sum_lanes) {
        sums.add(values + i);
    }
    T rest[square_sum_lanes] = {};
    __builtin_memcpy(rest, values + i, static_cast<std::size_t>(count - i) * sizeof(T));
    sums.add(rest);
    double lanes[square_sum_lanes];
    sums.store(lanes);
    for (int half = square_sum_lanes / 2; half > 0; half /= 2) {
        for (int lane = 0; lane < half; ++lane) {
            lanes[lane] += lanes[lane + half];
        }
    }
    return lanes[0];
}

constexpr int index_of(float) { return static_cast<int>(DType::float32); }
constexpr int index_of(NoCopy) { return static_cast<int>(DType::float32); }
constexpr int index_of(BFloat16) { return static_cast<int>(DType::bfloat16); }
constexpr int index_of(Float16) { return static_cast<int>(DType::float16); }

template <class Param, class Grad, class State, class Copy = NoCopy>
constexpr void add(KernelTable& kernels) {
    kernels.step[index_of(Param{})][index_of(Grad{})][index_of(State{})][index_of(Copy{})] =
        run<Step, Param, Grad, State, Copy>;
}

template <class Param>
constexpr void add_low_precision(KernelTable& kernels) {
    add<Param, Param, Param>(kernels);
    add<Param, Param, float>(kernels);
    add<Param, float, Param>(kernels);
    add<Param, float, float>(kernels);
}

template <class Grad>
constexpr void add_offload(KernelTable& kernels) {
    add<float, Grad, float>(kernels);
    add<float, Grad, float, BFloat16>(kernels);
    add<float, Grad, float, Float16>(kernels);
    kernels.square_sum[index_of(Grad{})] = square_sum_of<Grad>;
}

// A template for the sake of `if constexpr`.
template <class F>
constexpr KernelTable make_kernels() {
    KernelTable kernels = {};
    add<float, float, float>(kernels);
    add_low_precision<BFloat16>(kernels);
    add_low_precision<Float16>(kernels);
    kernels.staged_step = run_staged<Step>;
    if constexpr (F::has_rollback) {
        kernels.rollback = run<Rollback<F>, float, float, float, NoCopy>;
        kernels.staged_rollback = run_staged<Rollback<F>>;
    }
    if constexpr (F::has_offload) {
        add_offload<float>(kernels);
        add_offload<BFloat16>(kernels);
        add_offload<Float16>(kernels);
    }
    return kernels;
}

}  // namespace
}  // namespace ascend_ops
