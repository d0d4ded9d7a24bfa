// Adagrad on host memory.
//
// The update of step t = 1, 2, ... is elementwise, with g = grad, or its negative if `maximize`. It
// is the algorithm of Duchi, Hazan and Singer 2011, arranged as in torch.optim.Adagrad:
//   g     = g + weight_decay * param
//   sum   = sum + g * g
//   param = param - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(sum) + eps)
#pragma once

#include <cstdint>

#include "cpu/optimizer/optimizer.h"

namespace ascend_ops {

struct AdagradHyperparameters {
    std::int64_t step = 1;  // number of this update, from 1
    double lr = 1e-2;
    double lr_decay = 0.0;
    double weight_decay = 0.0;
    double eps = 1e-10;
    bool maximize = false;
};

struct AdagradCoefficients {
    float step_size;  // lr / (1 + (step - 1) * lr_decay)
    float eps;
    float weight_decay;
    float grad_sign;  // -1 with maximize
    bool has_weight_decay;
    bool is_plain;  // neither maximize nor weight_decay changes the gradient
};

/// Plans an update; the state is sum. Problems: step < 1; an lr, lr_decay, weight_decay or eps that
/// is negative or not finite in fp32; the problems of make_plan().
Problem plan_adagrad_step(const AdagradHyperparameters& hyperparameters, const DTypes& dtypes,
                          Isa isa, Plan* plan);

}  // namespace ascend_ops
