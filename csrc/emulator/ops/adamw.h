// The AdamW update that functions of CANN share, and Adam's.
#pragma once

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

struct AdamW {
    double beta1_power = 0;  // beta1 to the power of the step
    double beta2_power = 0;
    double lr = 0;
    double weight_decay = 0;
    double beta1 = 0;
    double beta2 = 0;
    double eps = 0;
    bool maximize = false;
    bool decays_gradient = false;  // Adam adds the decay to the gradient

    /// The update that follows `steps` others: sets the powers of the betas.
    AdamW after(double steps) const;

    /// `max_exp_avg_sq` is null without amsgrad.
    void step(const Out& var, const Out& exp_avg, const Out& exp_avg_sq, const Out& max_exp_avg_sq,
              const Tensor& grad) const;
};

}  // namespace ascend_emulator
