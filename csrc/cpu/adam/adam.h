// Adam and AdamW on host memory, and the inverse of one update.
//
// One update of step t (t = 1, 2, ...), elementwise, with g the gradient times
// grad_scale (its negative if `maximize`); Kingma and Ba 2015, algorithm 1, and Loshchilov and
// Hutter 2019, algorithm 2, in the arrangement of torch.optim.Adam and torch.optim.AdamW:
//   Adam:   g = g + weight_decay * param
//   AdamW:  param = param * (1 - lr * weight_decay)
//   exp_avg    = beta1 * exp_avg    + (1 - beta1) * g
//   exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * g * g
//   denom = sqrt(exp_avg_sq) / sqrt(1 - beta2^t) + eps
//   param = param - lr / (1 - beta1^t) * exp_avg / denom
// Without bias_correction, 1 - beta^t is 1. Coefficients are computed in double and rounded once.
#pragma once

#include <cstdint>

#include "cpu/optimizer/optimizer.h"

namespace ascend_ops {

struct AdamHyperparameters {
    std::int64_t step = 1;  // number of this update, from 1
    double lr = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 0.0;
    bool adamw_mode = true;  // false: Adam, whose weight decay is part of the gradient
    bool bias_correction = true;
    bool maximize = false;
    double grad_scale = 1.0;  // of an offload step: clipping factor / loss scale
    Rounding rounding;
};

/// What an element's arithmetic needs, rounded to fp32.
struct AdamCoefficients {
    float beta1;
    float one_minus_beta1;
    float beta2;
    float one_minus_beta2;
    float inverse_sqrt_bias_correction2;
    float eps;
    float step_size;   // lr / bias_correction1
    float decay;       // AdamW: 1 - lr * weight_decay; Adam: 1
    float l2_penalty;  // Adam: weight_decay; AdamW: 0
    float grad_scale;  // negative with maximize
    bool has_l2_penalty;
};

/// The update; the states are exp_avg and exp_avg_sq. Problems: step < 1; lr, eps or weight_decay
/// negative; a beta outside [0, 1); anything not finite in fp32; those of make_plan().
Problem plan_adam_step(const AdamHyperparameters& hyperparameters, const DTypes& dtypes, Isa isa,
                       Plan* plan);

/// The inverse: from what the update left, and the same gradients, back to what it found, but for
/// rounding: the states to within what storing them rounded away, divided by beta1 and beta2;
/// params to within theirs and the part of the update that the states' rounding changes, divided by
/// AdamW's decay factor. exp_avg_sq is never negative. Where fp16 stored an exp_avg_sq as 0 (below
/// 2^-25), params come back with AdamW as if it was the gradient's share alone, and with Adam's
/// weight decay not at all. Problems: as above, and a beta or decay factor of 0, which keeps
/// nothing of what was there before.
Problem plan_adam_rollback(const AdamHyperparameters& hyperparameters, const DTypes& dtypes,
                           Isa isa, Plan* plan);

/// The same plan for gradients with another scale, once their norm is known.
void set_grad_scale(double grad_scale, bool maximize, Plan* plan);

}  // namespace ascend_ops
