// The formula of Lion for one Vec of elements (see optimizer/kernel_loop.h and lion.h).
#pragma once

#include "cpu/lion/lion.h"

namespace ascend_ops {
namespace {

struct Formula {
    using Coefficients = LionCoefficients;
    static constexpr int state_count = 1;
    static constexpr bool has_rollback = false;  // the sign does not preserve the gradient
    static constexpr bool has_offload = false;

    template <bool plain>
    [[gnu::always_inline]] static void step(const Coefficients& c, Vec& param, Vec grad,
                                            Vec& exp_avg) {
        grad = plain ? grad : mul(grad, broadcast(c.grad_sign));
        const Vec update =
            sign(fma(broadcast(c.beta1), exp_avg, mul(broadcast(c.one_minus_beta1), grad)));
        param = fnma(broadcast(c.lr), update, mul(param, broadcast(c.decay)));
        exp_avg = fma(broadcast(c.beta2), exp_avg, mul(broadcast(c.one_minus_beta2), grad));
    }
};

}  // namespace
}  // namespace ascend_ops
