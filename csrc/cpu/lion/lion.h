// Lion on host memory.
//
// The update is elementwise, with g = grad, or its negative if `maximize`. It is algorithm 2 of
// Chen et al. 2023, "Symbolic discovery of optimization algorithms",
// https://arxiv.org/abs/2302.06675:
//   update  = sign(beta1 * exp_avg + (1 - beta1) * g)
//   param   = param * (1 - lr * weight_decay) - lr * update
//   exp_avg = beta2 * exp_avg + (1 - beta2) * g
// The sign of 0 is 0, and the sign of a NaN is a NaN, so that NaNs are not hidden.
#pragma once

#include "cpu/optimizer/optimizer.h"

namespace ascend_ops {

struct LionHyperparameters {
    double lr = 1e-4;
    double beta1 = 0.9;
    double beta2 = 0.99;
    double weight_decay = 0.0;
    bool maximize = false;
};

struct LionCoefficients {
    float beta1;
    float one_minus_beta1;
    float beta2;
    float one_minus_beta2;
    float lr;
    float decay;      // 1 - lr * weight_decay
    float grad_sign;  // -1 with maximize
    bool is_plain;    // without maximize
};

/// Plans an update; the state is exp_avg. Problems: a negative lr or weight_decay; a beta outside
/// [0, 1); anything not finite in fp32; the problems of make_plan().
Problem plan_lion_step(const LionHyperparameters& hyperparameters, const DTypes& dtypes, Isa isa,
                       Plan* plan);

}  // namespace ascend_ops
