// Adam and AdamW on host memory, and the inverse of one update.
//
// The update of step t = 1, 2, ... is elementwise, with g = grad * grad_scale, or its negative if
// `maximize`. It is algorithm 1 of Kingma and Ba 2015 and algorithm 2 of Loshchilov and Hutter
// 2019, arranged as in torch.optim.Adam and torch.optim.AdamW:
//   Adam:   g = g + weight_decay * param
//   AdamW:  param = param * (1 - lr * weight_decay)
//   exp_avg    = beta1 * exp_avg    + (1 - beta1) * g
//   exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * g * g
//   denom = sqrt(exp_avg_sq) / sqrt(1 - beta2^t) + eps
//   param = param - lr / (1 - beta1^t) * exp_avg / denom
// Without bias_correction, 1 - beta^t is replaced by 1. Coefficients are computed in double and
// rounded once.
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
    bool adamw_mode = true;  // false is Adam, which adds weight decay to the gradient
    bool bias_correction = true;
    bool maximize = false;
    double grad_scale = 1.0;  // the clipping factor / loss scale of an offload step
    Rounding rounding;
};

/// The coefficients of the formula, rounded to fp32.
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
    bool is_plain;  // neither a scale nor a penalty changes the gradient
};

/// Plans an update; the states are exp_avg and exp_avg_sq. Problems: step < 1; a negative lr, eps
/// or weight_decay; a beta outside [0, 1); anything not finite in fp32; the problems of
/// make_plan().
Problem plan_adam_step(const AdamHyperparameters& hyperparameters, const DTypes& dtypes, Isa isa,
                       Plan* plan);

/// Plans the inverse of an update: from the updated tensors and the same gradients, it recovers the
/// tensors before the update, except for rounding.
///
/// - States are accurate to the rounding of their storage, divided by beta1 and beta2.
///   exp_avg_sq is never negative.
/// - params are accurate to the rounding of their storage, plus the part of the update that the
///   states' rounding changes, divided by AdamW's decay factor.
/// - If fp16 stored an exp_avg_sq below 2^-25 as 0, AdamW recovers params as if exp_avg_sq was the
///   gradient's share alone. Adam with weight decay cannot recover them.
///
/// Problems: those of plan_adam_step(), and a beta or decay factor of 0, after which nothing is
/// left of the old values.
Problem plan_adam_rollback(const AdamHyperparameters& hyperparameters, const DTypes& dtypes,
                           Isa isa, Plan* plan);

/// Changes the scale of the gradients in a plan, once their norm is known.
void set_grad_scale(double grad_scale, bool maximize, Plan* plan);

}  // namespace ascend_ops
