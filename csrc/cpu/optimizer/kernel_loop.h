// The loop that applies a formula to arrays. Include a header from cpu/simd first: the loop is
// written in its Vec. The formula is formula.h in the optimizer's folder, which is on the include
// path.
//
// Everything has internal linkage, and no header of the C++ library that contains code is included:
// each including file is compiled for a different instruction set (see simd/scalar.h).
#pragma once

#include <cstddef>
#include <type_traits>

#include "cpu/optimizer/copied_elements.h"
#include "cpu/optimizer/kernels.h"
#include "formula.h"

namespace ascend_ops {
namespace {

// `plain` is the coefficients' is_plain, as a constant: most steps use none of the options that
// change the gradient, and their loop is compiled without them.
struct Step {
    template <bool plain, class... Vecs>
    [[gnu::always_inline]] static void update(const Formula::Coefficients& c, Vecs&... x) {
        Formula::step<plain>(c, x...);
    }
};

// The inverse of Step. A template, so that it is compiled only for formulas that have a rollback.
template <class F>
struct Rollback {
    template <bool plain, class... Vecs>
    [[gnu::always_inline]] static void update(const Formula::Coefficients& c, Vecs&... x) {
        F::template rollback<plain>(c, x...);
    }
};

struct NoCopy {};

// The copy is for the device, not for this CPU. Non-temporal stores, which need not fetch its cache
// lines first, make the pass 5 to 8% faster.
inline void stream_copy(NoCopy*, std::int64_t, Vec) {}
template <class T>
[[gnu::always_inline]] inline void stream_copy(T* to, std::int64_t i, Vec v) {
    stream(to + i, v);
}

// The arrays of one kernel, with its element types.
template <class Param, class Grad, class State, class Copy>
struct Arrays {
    explicit Arrays(const Tensors& tensors)
        : params(static_cast<Param*>(tensors.params)),
          grads(static_cast<const Grad*>(tensors.grads)),
          states0(static_cast<State*>(tensors.states[0])),
          states1(static_cast<State*>(tensors.states[1])),
          copies(static_cast<Copy*>(tensors.low_precision_params)) {}

    Param* params;
    const Grad* grads;
    State* states0;
    State* states1;
    Copy* copies;
};

// Updates one Vec of each array by plain loads and stores. Measured alternatives: prefetching 1 or
// 4 KiB ahead makes no difference; non-temporal stores of params and states are 3 to 5% slower.
template <class Update, bool plain, class A>
[[gnu::always_inline]] inline void run_one(const Formula::Coefficients& c, const A& a,
                                           std::int64_t i) {
    Vec param = load(a.params + i);
    Vec grad = load(a.grads + i);
    Vec state0 = load(a.states0 + i);
    // params are stored last, because they wait for a division (3% faster in cache)
    if constexpr (Formula::state_count == 1) {
        Update::template update<plain>(c, param, grad, state0);
        store(a.states0 + i, state0);
    } else {
        Vec state1 = load(a.states1 + i);
        Update::template update<plain>(c, param, grad, state0, state1);
        store(a.states0 + i, state0);
        store(a.states1 + i, state1);
    }
    store(a.params + i, param);
    stream_copy(a.copies, i, param);
}

template <class V, int count, class T>
[[gnu::always_inline]] inline void load_line(V (&to)[count], const T* from) {
#pragma GCC unroll 4
    for (int k = 0; k < count; ++k) {
        to[k] = load(from + k * width());
    }
}

template <class V, int count, class T>
[[gnu::always_inline]] inline void store_line(T* to, const V (&from)[count]) {
#pragma GCC unroll 4
    for (int k = 0; k < count; ++k) {
        store(to + k * width(), from[k]);
    }
}

// Updates `count` Vecs of each array, one array after the other. V is Vec, as a template parameter
// because the Vecs of SVE and RVV cannot be array elements: for them this is never instantiated.
template <class Update, bool plain, int count, class V, class A>
[[gnu::always_inline]] inline void run_line(const Formula::Coefficients& c, const A& a,
                                            std::int64_t i) {
    V params[count];
    V grads[count];
    V states0[count];
    V states1[count];
    load_line(params, a.params + i);
    load_line(grads, a.grads + i);
    load_line(states0, a.states0 + i);
    if constexpr (Formula::state_count == 2) {
        load_line(states1, a.states1 + i);
    }
#pragma GCC unroll 4
    for (int k = 0; k < count; ++k) {
        if constexpr (Formula::state_count == 1) {
            Update::template update<plain>(c, params[k], grads[k], states0[k]);
        } else {
            Update::template update<plain>(c, params[k], grads[k], states0[k], states1[k]);
        }
    }
    store_line(a.states0 + i, states0);
    if constexpr (Formula::state_count == 2) {
        store_line(a.states1 + i, states1);
    }
    store_line(a.params + i, params);
#pragma GCC unroll 4
    for (int k = 0; k < count; ++k) {
        stream_copy(a.copies, i + k * width(), params[k]);
    }
}

// The number of Vecs per cache line of the narrowest array; 1 if a Vec is at least that long or if
// its length is unknown.
//
// Each iteration processes whole cache lines of every array, because the arrays may evict each
// other from the L1 cache: AMD's L1 predicts the way by a hash of the address that is equal for
// many addresses 128 MiB apart, and large tensors are often that far apart. For such 16-bit arrays,
// iterations of one Vec took 2 (AVX-512) to 3.6 (AVX2) times as long; for others, about the same.
template <class... Elements>
constexpr int vecs_in_a_line() {
    std::size_t narrowest = 4;
    ((narrowest = sizeof(Elements) < narrowest ? sizeof(Elements) : narrowest), ...);
    const std::size_t count = 64 / (narrowest * static_cast<std::size_t>(max_width));
    return max_width < 4 || count < 1 ? 1 : static_cast<int>(count < max_vecs ? count : max_vecs);
}

// Updates `vecs` Vecs of each array at a time; returns where the last ones end.
template <class Update, bool plain, int vecs, class A>
[[gnu::always_inline]] inline std::int64_t run_lines(const Formula::Coefficients& c, const A& a,
                                                     std::int64_t begin, std::int64_t end) {
    const std::int64_t per_iteration = vecs * width();
    std::int64_t i = begin;
    for (; end - i >= per_iteration; i += per_iteration) {
        if constexpr (vecs > 1) {
            run_line<Update, plain, vecs, Vec>(c, a, i);
        } else {
            run_one<Update, plain>(c, a, i);
        }
    }
    return i;
}

template <class Update, class Param, class Grad, class State, class Copy>
void run(const Plan& plan, const Tensors& tensors, std::int64_t begin, std::int64_t end) {
    const auto c = plan.coefficients.as<Formula::Coefficients>();
    const Arrays<Param, Grad, State, Copy> arrays(tensors);
    constexpr int vecs = vecs_in_a_line<Param, Grad, State>();
    const std::int64_t per_iteration = vecs * width();

    const std::int64_t i = c.is_plain ? run_lines<Update, true, vecs>(c, arrays, begin, end)
                                      : run_lines<Update, false, vecs>(c, arrays, begin, end);
    if constexpr (!std::is_same<Copy, NoCopy>::value) {
        finish_streams();
    }
    if (i < end) {
        run_tail(run<Update, Param, Grad, State, Copy>, plan, tensors, i, end, per_iteration);
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

// A template, because `if constexpr` needs one.
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
