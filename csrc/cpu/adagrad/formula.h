// The formula of Adagrad for one Vec of elements (see optimizer/kernel_loop.h and adagrad.h).
#pragma once

#include "cpu/adagrad/adagrad.h"

namespace ascend_ops {
namespace {

struct Formula {
    using Coefficients = AdagradCoefficients;
    static constexpr int state_count = 1;
    static constexpr bool has_rollback = false;
    static constexpr bool has_offload = false;

    template <bool plain>
    [[gnu::always_inline]] static void step(const Coefficients& c, Vec& param, Vec grad, Vec& sum) {
        grad = plain ? grad : mul(grad, broadcast(c.grad_sign));
        if (!plain && c.has_weight_decay) {  // 0 * param could be a NaN: see Adam's formula
            grad = fma(broadcast(c.weight_decay), param, grad);
        }
        sum = fma(grad, grad, sum);
        const Vec denom = add(sqrt(sum), broadcast(c.eps));
        param = fnma(broadcast(c.step_size), div(grad, denom), param);
    }
};

}  // namespace
}  // namespace ascend_ops
