// The formula of Adam, once, over the Vec of whichever simd header is included before this one.
//
// Everything has internal linkage and nothing of the C++ library with code in it is included:
// each including file is compiled for another instruction set (see simd/scalar.h).
#pragma once

#include <cstddef>

#include "adam_kernels.h"

namespace ascend_ops {
namespace {

struct Coefficients {
    Vec beta1, one_minus_beta1, beta2, one_minus_beta2;
    Vec inverse_sqrt_bias_correction2, eps, step_size, decay, l2_penalty, grad_sign;
    bool has_l2_penalty;

    explicit Coefficients(const AdamCoefficients& c)
        : beta1(Vec::broadcast(c.beta1)),
          one_minus_beta1(Vec::broadcast(c.one_minus_beta1)),
          beta2(Vec::broadcast(c.beta2)),
          one_minus_beta2(Vec::broadcast(c.one_minus_beta2)),
          inverse_sqrt_bias_correction2(Vec::broadcast(c.inverse_sqrt_bias_correction2)),
          eps(Vec::broadcast(c.eps)),
          step_size(Vec::broadcast(c.step_size)),
          decay(Vec::broadcast(c.decay)),
          l2_penalty(Vec::broadcast(c.l2_penalty)),
          grad_sign(Vec::broadcast(c.grad_sign)),
          has_l2_penalty(c.has_l2_penalty) {}
};

struct Elements {
    Vec param, grad, exp_avg, exp_avg_sq;
};

inline Vec effective_grad(const Coefficients& c, const Elements& x) {
    const Vec grad = x.grad * c.grad_sign;
    // Not an addition of zero: an infinite param would turn the gradient into a NaN.
    return c.has_l2_penalty ? fma(c.l2_penalty, x.param, grad) : grad;
}

inline Vec direction(const Coefficients& c, Vec exp_avg, Vec exp_avg_sq) {
    return exp_avg / fma(sqrt(exp_avg_sq), c.inverse_sqrt_bias_correction2, c.eps);
}

struct Step {
    [[gnu::always_inline]] static void update(const Coefficients& c, Elements& x) {
        const Vec grad = effective_grad(c, x);
        x.exp_avg = fma(c.beta1, x.exp_avg, c.one_minus_beta1 * grad);
        x.exp_avg_sq = fma(c.beta2, x.exp_avg_sq, c.one_minus_beta2 * grad * grad);
        x.param = fnma(c.step_size, direction(c, x.exp_avg, x.exp_avg_sq), x.param * c.decay);
    }
};

// Undoes Step from its last line to its first. The products of the gradient are rounded as there,
// so that they cancel exactly: rolling step 1 back gives states of exactly 0 in fp32.
struct Rollback {
    [[gnu::always_inline]] static void update(const Coefficients& c, Elements& x) {
        // exp_avg_sq was at least the square it took in, before it was rounded to be stored: fp16
        // stores what is below 2^-25 as 0. No difference in fp32, where rounding keeps the order.
        const Vec least = c.has_l2_penalty
                              ? x.exp_avg_sq  // the square needs the param yet to be found
                              : c.one_minus_beta2 * x.grad * x.grad;
        x.param =
            fma(c.step_size, direction(c, x.exp_avg, max(least, x.exp_avg_sq)), x.param) / c.decay;
        const Vec grad = effective_grad(c, x);
        x.exp_avg = (x.exp_avg - c.one_minus_beta1 * grad) / c.beta1;
        const Vec exp_avg_sq = (x.exp_avg_sq - c.one_minus_beta2 * grad * grad) / c.beta2;
        x.exp_avg_sq = max(Vec::broadcast(0.0f), exp_avg_sq);
    }
};

struct ElementSizes {
    std::size_t param, grad, state;
};

// The last elements, fewer than a Vec has lanes: copied out, updated by the same kernel in a whole
// Vec, so that they are rounded as all others are, and copied back.
[[gnu::noinline]] void run_tail(AdamKernel kernel, const AdamCoefficients& coefficients,
                                const AdamTensors& tensors, ElementSizes sizes, std::size_t begin,
                                std::size_t end) {
    constexpr std::size_t bytes = Vec::width * sizeof(float);
    alignas(float) unsigned char copies[4][bytes] = {};
    unsigned char* const params = static_cast<unsigned char*>(tensors.params) + begin * sizes.param;
    const unsigned char* const grads =
        static_cast<const unsigned char*>(tensors.grads) + begin * sizes.grad;
    unsigned char* const exp_avg =
        static_cast<unsigned char*>(tensors.exp_avg) + begin * sizes.state;
    unsigned char* const exp_avg_sq =
        static_cast<unsigned char*>(tensors.exp_avg_sq) + begin * sizes.state;
    const std::size_t count = end - begin;

    __builtin_memcpy(copies[0], params, count * sizes.param);
    __builtin_memcpy(copies[1], grads, count * sizes.grad);
    __builtin_memcpy(copies[2], exp_avg, count * sizes.state);
    __builtin_memcpy(copies[3], exp_avg_sq, count * sizes.state);
    kernel(coefficients, {copies[0], copies[1], copies[2], copies[3]}, 0, Vec::width);
    __builtin_memcpy(params, copies[0], count * sizes.param);
    __builtin_memcpy(exp_avg, copies[2], count * sizes.state);
    __builtin_memcpy(exp_avg_sq, copies[3], count * sizes.state);
}

// One Vec a turn, plain loads and stores. With 64 Mi fp32 params on two cores that is 0.99 to 1.0
// of a loop that only moves the same 28 bytes an element. Measured beside it: two Vecs a turn, and
// prefetching 1 or 4 KiB ahead, make no difference; non-temporal stores cost 3 to 5%.
template <class Update, class Param, class Grad, class State>
void run(const AdamCoefficients& coefficients, const AdamTensors& tensors, std::int64_t begin,
         std::int64_t end) {
    const Coefficients c(coefficients);
    Param* const params = static_cast<Param*>(tensors.params);
    const Grad* const grads = static_cast<const Grad*>(tensors.grads);
    State* const exp_avg = static_cast<State*>(tensors.exp_avg);
    State* const exp_avg_sq = static_cast<State*>(tensors.exp_avg_sq);

    std::int64_t i = begin;
    for (; end - i >= Vec::width; i += Vec::width) {
        Elements x{Vec::load(params + i), Vec::load(grads + i), Vec::load(exp_avg + i),
                   Vec::load(exp_avg_sq + i)};
        Update::update(c, x);
        // params last: they wait for a division, the states do not (3% faster in cache)
        store(exp_avg + i, x.exp_avg);
        store(exp_avg_sq + i, x.exp_avg_sq);
        store(params + i, x.param);
    }
    if (i < end) {
        run_tail(run<Update, Param, Grad, State>, coefficients, tensors,
                 {sizeof(Param), sizeof(Grad), sizeof(State)}, static_cast<std::size_t>(i),
                 static_cast<std::size_t>(end));
    }
}

constexpr int index_of(float) { return static_cast<int>(DType::float32); }
constexpr int index_of(BFloat16) { return static_cast<int>(DType::bfloat16); }
constexpr int index_of(Float16) { return static_cast<int>(DType::float16); }

template <class Param, class Grad, class State>
constexpr void add(AdamKernels& kernels) {
    constexpr int p = index_of(Param{});
    constexpr int g = index_of(Grad{});
    constexpr int s = index_of(State{});
    kernels.step[p][g][s] = run<Step, Param, Grad, State>;
    kernels.rollback[p][g][s] = run<Rollback, Param, Grad, State>;
}

template <class Param>
constexpr void add_low_precision(AdamKernels& kernels) {
    add<Param, Param, Param>(kernels);
    add<Param, Param, float>(kernels);
    add<Param, float, Param>(kernels);
    add<Param, float, float>(kernels);
}

constexpr AdamKernels make_adam_kernels() {
    AdamKernels kernels = {};
    add<float, float, float>(kernels);
    add_low_precision<BFloat16>(kernels);
    add_low_precision<Float16>(kernels);
    return kernels;
}

}  // namespace
}  // namespace ascend_ops
