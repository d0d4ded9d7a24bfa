// Losses and their gradients. reduction: 0 none, 1 mean, 2 sum.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/ctc_loss.h"
#include "emulator/ops/indices.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnBinaryCrossEntropy,           "binary_cross_entropy",             Tensor, Tensor, Tensor, Int, Out)
ATEN(aclnnBinaryCrossEntropyBackward,   "binary_cross_entropy_backward",    Tensor, Tensor, Tensor, Tensor, Int, Out)
ATEN(aclnnBinaryCrossEntropyWithLogits, "binary_cross_entropy_with_logits", Tensor, Tensor, Tensor, Tensor, Int, Out)
ATEN(aclnnKlDiv,                        "kl_div",                           Tensor, Tensor, Int, bool, Out)
ATEN(aclnnL1Loss,                       "l1_loss",                          Tensor, Tensor, Int, Out)
ATEN(aclnnMseLoss,                      "mse_loss",                         Tensor, Tensor, Int, Out)
ATEN(aclnnMseLossBackward,              "mse_loss_backward",                Tensor, Tensor, Tensor, Int, Out)
ATEN(aclnnSmoothL1Loss,                 "smooth_l1_loss",                   Tensor, Tensor, Int, float, Out)
ATEN(aclnnSmoothL1LossBackward,         "smooth_l1_loss_backward",          Tensor, Tensor, Tensor, Int, float, Out)
ATEN(aclnnSoftMarginLoss,               "soft_margin_loss",                 Tensor, Tensor, Int, Out)
ATEN(aclnnSoftMarginLossBackward,       "soft_margin_loss_backward",        Tensor, Tensor, Tensor, Int, Out)
// clang-format on

namespace {

/// CANN takes classes of int32 and uint8 too.
Tensor classes_of(const Tensor& target, const Tensor& self, Int ignore_index) {
    return checked_indices("target", target, self.size(self.dim() == 1 ? 0 : 1), ignore_index);
}

void nll_loss(const char* schema, const Tensor& self, const Tensor& target, const Tensor& weight,
              Int reduction, Int ignore_index, const Out& out, const Out& total_weight) {
    const TensorList found = aten_all(schema, self, classes_of(target, self, ignore_index), weight,
                                      reduction, ignore_index);
    out = found[0];
    total_weight = found[1];
}

}  // namespace

ACLNN_CHECKED(aclnnNLLLoss, Tensor self, Tensor target, Optional<Tensor> weight, Int reduction,
              Int ignore_index, Out out, Out total_weight) {
    nll_loss("nll_loss_forward", self, target, weight, reduction, ignore_index, out, total_weight);
}
ACLNN_CHECKED(aclnnNLLLoss2d, Tensor self, Tensor target, Optional<Tensor> weight, Int reduction,
              Int ignore_index, Out out, Out total_weight) {
    nll_loss("nll_loss2d_forward", self, target, weight, reduction, ignore_index, out,
             total_weight);
}
ACLNN_CHECKED(aclnnNLLLossBackward, Tensor grad, Tensor self, Tensor target,
              Optional<Tensor> weight, Int reduction, Int ignore_index, Tensor total_weight,
              Out out) {
    out = aten("nll_loss_backward", grad, self, classes_of(target, self, ignore_index), weight,
               reduction, ignore_index, total_weight);
}
ACLNN_CHECKED(aclnnNLLLoss2dBackward, Tensor grad, Tensor self, Tensor target,
              Optional<Tensor> weight, Int reduction, Int ignore_index, Tensor total_weight,
              Out out) {
    out = aten("nll_loss2d_backward", grad, self, classes_of(target, self, ignore_index), weight,
               reduction, ignore_index, total_weight);
}
ACLNN(aclnnMultilabelMarginLoss, Tensor self, Tensor target, Int reduction, Out out,
      Out is_target) {
    const TensorList found =
        aten_all("multilabel_margin_loss_forward", self, target.to(DType::int64), reduction);
    out = found[0];
    is_target = found[1];
}

ACLNN(aclnnCtcLoss, Tensor log_probs, Tensor targets, Ints input_lengths, Ints target_lengths,
      Int blank, bool zero_infinity, Out loss, Out log_alpha) {
    const TensorList found =
        aten_all("_ctc_loss", log_probs, checked_indices("targets", targets, log_probs.size(2)),
                 input_lengths, target_lengths, blank, zero_infinity);
    loss = found[0];
    assign(used_alpha(log_alpha.tensor, target_lengths), found[1]);
}
ACLNN(aclnnCtcLossBackward, Tensor grad, Tensor log_probs, Tensor targets, Ints input_lengths,
      Ints target_lengths, Tensor loss, Tensor log_alpha, Int blank, bool zero_infinity, Out out) {
    out = aten("_ctc_loss_backward", grad, log_probs, targets, input_lengths, target_lengths, loss,
               used_alpha(log_alpha, target_lengths), blank, zero_infinity);
}

ACLNN(aclnnL1LossBackward, Tensor grad, Tensor self, Tensor target, Int reduction, Out out) {
    const Tensor sign = aten("sign", self - target) * grad;
    out = reduction == 1 ? sign / static_cast<double>(self.numel()) : sign;
}
ACLNN(aclnnKlDivBackward, Tensor grad, Tensor self, Tensor target, Int reduction, bool log_target,
      Out out) {
    (void)self;
    const Tensor weight =
        log_target ? aten("exp", target) : target * aten("gt.Scalar", target, 0).to(target.dtype());
    const Tensor grads = -(weight * grad);
    out = reduction == 1 ? grads / static_cast<double>(target.numel()) : grads;
}
// reduction 3 is the mean over the batch. The gradient for a target of 0 is not a number, as on a
// device.
ACLNN(aclnnKlDivTargetBackward, Tensor grad, Tensor self, Tensor target, Int reduction,
      bool logTarget, Out out) {
    const Tensor wide = target.to_float();
    const Tensor slope = logTarget ? aten("exp", wide) * (wide - self.to_float() + 1.0)
                                   : aten("log", wide) - self.to_float() + wide / wide;
    const Tensor grads = slope * grad.to_float();
    const double count = reduction == 1   ? static_cast<double>(target.numel())
                         : reduction == 3 ? static_cast<double>(target.size(0))
                                          : 1;
    out = grads / count;
}
ACLNN(aclnnBinaryCrossEntropyWithLogitsBackward, Tensor grad, Tensor self, Tensor target,
      Optional<Tensor> weight, Optional<Tensor> positive_weight, Int reduction, Out out) {
    const Tensor probability = aten("sigmoid", self);
    Tensor grads;
    if (positive_weight.defined()) {
        const Tensor positive = positive_weight * target;
        grads = (positive + 1.0 - target) * probability - positive;
    } else {
        grads = probability - target;
    }
    grads = grads * grad;
    if (weight.defined()) {
        grads = grads * weight;
    }
    out = reduction == 1 ? grads / static_cast<double>(self.numel()) : grads;
}
