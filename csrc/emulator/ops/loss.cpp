// Losses and their gradients. reduction: 0 none, 1 mean, 2 sum.
#include "aclnn/operation.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnBinaryCrossEntropy,           "binary_cross_entropy",             Tensor, Tensor, Tensor, Int, Out)
ATEN(aclnnBinaryCrossEntropyBackward,   "binary_cross_entropy_backward",    Tensor, Tensor, Tensor, Tensor, Int, Out)
ATEN(aclnnBinaryCrossEntropyWithLogits, "binary_cross_entropy_with_logits", Tensor, Tensor, Tensor, Tensor, Int, Out)
ATEN(aclnnCtcLoss,                      "_ctc_loss",                        Tensor, Tensor, Ints, Ints, Int, bool, Out, Out)
ATEN(aclnnCtcLossBackward,              "_ctc_loss_backward",               Tensor, Tensor, Tensor, Ints, Ints, Tensor, Tensor, Int, bool, Out)
ATEN(aclnnKlDiv,                        "kl_div",                           Tensor, Tensor, Int, bool, Out)
ATEN(aclnnL1Loss,                       "l1_loss",                          Tensor, Tensor, Int, Out)
ATEN(aclnnMseLoss,                      "mse_loss",                         Tensor, Tensor, Int, Out)
ATEN(aclnnMseLossBackward,              "mse_loss_backward",                Tensor, Tensor, Tensor, Int, Out)
ATEN(aclnnNLLLoss2dBackward,            "nll_loss2d_backward",              Tensor, Tensor, Tensor, Tensor, Int, Int, Tensor, Out)
ATEN(aclnnSmoothL1Loss,                 "smooth_l1_loss",                   Tensor, Tensor, Int, float, Out)
ATEN(aclnnSmoothL1LossBackward,         "smooth_l1_loss_backward",          Tensor, Tensor, Tensor, Int, float, Out)
ATEN(aclnnSoftMarginLoss,               "soft_margin_loss",                 Tensor, Tensor, Int, Out)
ATEN(aclnnSoftMarginLossBackward,       "soft_margin_loss_backward",        Tensor, Tensor, Tensor, Int, Out)
// clang-format on

ACLNN(aclnnNLLLoss, Tensor self, Tensor target, Tensor weight, Int reduction, Int ignore_index,
      Out out, Out total_weight) {
    const TensorList found =
        aten_all("nll_loss_forward", self, target, weight, reduction, ignore_index);
    out = found[0];
    total_weight = found[1];
}
ACLNN(aclnnNLLLossBackward, Tensor grad, Tensor self, Tensor target, Tensor weight, Int reduction,
      Int ignore_index, Tensor total_weight, Out out) {
    out = aten("nll_loss_backward", grad, self, target, weight, reduction, ignore_index,
               total_weight);
}
ACLNN(aclnnNLLLoss2d, Tensor self, Tensor target, Tensor weight, Int reduction, Int ignore_index,
      Out out, Out total_weight) {
    const TensorList found =
        aten_all("nll_loss2d_forward", self, target, weight, reduction, ignore_index);
    out = found[0];
    total_weight = found[1];
}
