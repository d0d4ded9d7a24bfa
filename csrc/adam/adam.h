// Adam and AdamW on host memory, and the inverse of one update.
//
// One update of step t (t = 1, 2, ...), elementwise, with g the gradient (its negative if
// `maximize`); Kingma and Ba 2015, algorithm 1, and Loshchilov and Hutter 2019, algorithm 2, in the
// arrangement of torch.optim.Adam and torch.optim.AdamW:
//   Adam:   g = g + weight_decay * param
//   AdamW:  param = param * (1 - lr * weight_decay)
//   exp_avg    = beta1 * exp_avg    + (1 - beta1) * g
//   exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * g * g
//   denom = sqrt(exp_avg_sq) / sqrt(1 - beta2^t) + eps
//   param = param - lr / (1 - beta1^t) * exp_avg / denom
// Without bias_correction, 1 - beta^t is 1. Coefficients are computed in double and rounded once;
// elements are computed in fp32, whatever they are stored as. An element's result depends on that
// element and the plan alone, bit for bit: not on its position, the range, the thread or the
// instruction set (the sign and payload of a NaN excepted).
#pragma once

#include <cstdint>

#include "ascend_ops/dtype.h"
#include "ascend_ops/isa.h"

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
};

/// Supported: params fp32, bf16 or fp16; grads and states each fp32 or the params' dtype.
struct AdamDTypes {
    DType params = DType::float32;
    DType grads = DType::float32;
    DType states = DType::float32;  // of exp_avg and of exp_avg_sq
};

/// Arrays of equal length that do not overlap; aligned to their element or better.
struct AdamTensors {
    void* params;
    const void* grads;
    void* exp_avg;
    void* exp_avg_sq;
};

/// What an element's arithmetic needs, rounded to fp32. Made by plan_adam_step().
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
    float grad_sign;   // -1 with maximize, else 1
    bool has_l2_penalty;
};

using AdamKernel = void (*)(const AdamCoefficients& coefficients, const AdamTensors& tensors,
                            std::int64_t begin, std::int64_t end);

/// One update, checked and ready to run on any number of tensors and threads.
struct AdamPlan {
    AdamKernel kernel = nullptr;
    AdamCoefficients coefficients = {};
};

/// Why there is no plan. `argument` is null where there is nothing wrong; texts are literals.
struct AdamProblem {
    const char* argument = nullptr;
    const char* wanted = nullptr;
    double found = 0.0;
};

/// What a plan for `isa` runs on: `isa`, or the next lower one that is compiled in, where the
/// library's compiler did not know `isa`.
Isa adam_isa(Isa isa);

/// The update. Problems: step < 1; lr, eps or weight_decay negative; a beta outside [0, 1);
/// anything not finite in fp32; dtypes that are not supported ("dtypes"); an instruction set that
/// the CPU lacks ("isa").
AdamProblem plan_adam_step(const AdamHyperparameters& hyperparameters, const AdamDTypes& dtypes,
                           Isa isa, AdamPlan* plan);

/// The inverse: from what the update left, and the same gradients, back to what it found, but for
/// rounding: the states to within what storing them rounded away, divided by beta1 and beta2;
/// params to within theirs and the part of the update that the states' rounding changes, divided by
/// AdamW's decay factor. exp_avg_sq is never negative. Where fp16 stored an exp_avg_sq as 0 (below
/// 2^-25), params come back with AdamW as if it was the gradient's share alone, and with Adam's
/// weight decay not at all. Problems: as above, and a beta or decay factor of 0, which keeps
/// nothing of what was there before.
AdamProblem plan_adam_rollback(const AdamHyperparameters& hyperparameters, const AdamDTypes& dtypes,
                               Isa isa, AdamPlan* plan);

/// Runs a plan on elements [begin, end) of the tensors. Ranges that do not overlap may run at the
/// same time.
inline void run_adam(const AdamPlan& plan, const AdamTensors& tensors, std::int64_t begin,
                     std::int64_t end) {
    plan.kernel(plan.coefficients, tensors, begin, end);
}

}  // namespace ascend_ops
