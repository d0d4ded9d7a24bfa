// The formula of Adam and AdamW for one Vec of elements (see optimizer/kernel_loop.h and adam.h).
#pragma once

#include "cpu/adam/adam.h"

namespace ascend_ops {
namespace {

struct Formula {
    using Coefficients = AdamCoefficients;
    static constexpr int state_count = 2;
    static constexpr bool has_rollback = true;
    static constexpr bool has_offload = true;

    template <bool plain>
    [[gnu::always_inline]] static void step(const Coefficients& c, Vec& param, Vec grad,
                                            Vec& exp_avg, Vec& exp_avg_sq) {
        grad = effective_grad<plain>(c, param, grad);
        exp_avg = fma(broadcast(c.beta1), exp_avg, mul(broadcast(c.one_minus_beta1), grad));
        exp_avg_sq = fma(broadcast(c.beta2), exp_avg_sq, weighted_square(c, grad));
        param = fma(param, broadcast(c.decay), change(c, exp_avg, exp_avg_sq));
    }

    // Undoes step() from its last line to its first. The products of the gradient are rounded as in
    // step(), so that they cancel exactly: in fp32, rolling back step 1 gives states of exactly 0.
    template <bool plain>
    [[gnu::always_inline]] static void rollback(const Coefficients& c, Vec& param, Vec grad,
                                                Vec& exp_avg, Vec& exp_avg_sq) {
        // Before it was rounded to its storage, exp_avg_sq was at least the weighted square of the
        // gradient; fp16 stores numbers below 2^-25 as 0. In fp32, where rounding keeps the order,
        // this changes nothing. With Adam's decay, the square depends on the unknown param.
        const Vec minimum =
            c.has_l2_penalty
                ? exp_avg_sq
                : weighted_square(c, plain ? grad : mul(grad, broadcast(c.grad_scale)));
        param = div(sub(param, change(c, exp_avg, max(minimum, exp_avg_sq))), broadcast(c.decay));
        grad = effective_grad<plain>(c, param, grad);
        exp_avg = div(sub(exp_avg, mul(broadcast(c.one_minus_beta1), grad)), broadcast(c.beta1));
        exp_avg_sq = div(sub(exp_avg_sq, weighted_square(c, grad)), broadcast(c.beta2));
        exp_avg_sq = max(broadcast(0.0f), exp_avg_sq);
    }

  private:
    template <bool plain>
    [[gnu::always_inline]] static Vec effective_grad(const Coefficients& c, Vec param, Vec grad) {
        if constexpr (plain) {
            return grad;
        }
        grad = mul(grad, broadcast(c.grad_scale));
        // Without a penalty, 0 * param must not be added: it is a NaN if param is infinite.
        return c.has_l2_penalty ? fma(broadcast(c.l2_penalty), param, grad) : grad;
    }

    [[gnu::always_inline]] static Vec weighted_square(const Coefficients& c, Vec grad) {
        return mul(mul(broadcast(c.one_minus_beta2), grad), grad);
    }

    // Multiplied by the step size before the division, as in torch: with a tiny eps, the quotient
    // alone may be infinite, and a step size of 0 would make it a NaN.
    [[gnu::always_inline]] static Vec change(const Coefficients& c, Vec exp_avg, Vec exp_avg_sq) {
        const Vec denom =
            fma(sqrt(exp_avg_sq), broadcast(c.inverse_sqrt_bias_correction2), broadcast(c.eps));
        return div(mul(broadcast(-c.step_size), exp_avg), denom);
    }
};

}  // namespace
}  // namespace ascend_ops
