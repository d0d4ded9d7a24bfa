// Cross entropy of logits and classes, with label smoothing, and its gradient.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/indices.h"

using namespace ascend_emulator;

namespace {

void check_reduction(const String& reduction, double smoothing) {
    require(reduction == "mean" || reduction == "sum" || reduction == "none",
            "reduction must be mean, sum or none, got " + reduction);
    require(smoothing >= 0 && smoothing <= 1,
            "labelSmoothing must be in [0, 1], got " + std::to_string(smoothing));
}

void check_classes(const char* argument, const Tensor& x, const Tensor& target) {
    require(x.dim() == 2 && x.size(1) > 0,
            std::string(argument) + " must be [N, C] with at least one class");
    require(target.dim() == 1 && target.numel() == x.size(0),
            "target must have one class per row of " + std::string(argument));
}

/// What the rows of a batch have in common in both passes.
struct Targets {
    Tensor classes;  // int64; 0 for rows that are ignored
    Tensor counts;   // 1 for a row that counts
    Tensor weight;   // [C]
    Tensor of_rows;  // the weight of each row's class, 0 for rows that are ignored

    Targets(const Tensor& target, const Tensor& weights, Int count, Int ignore_index) {
        const Tensor wide = checked_indices("target", target, count, ignore_index);
        const Tensor ignored = aten("eq.Scalar", wide, ignore_index);
        classes = aten("masked_fill.Scalar", wide, ignored, 0);
        counts = aten("logical_not", ignored).to_float();
        weight = weights.defined() ? weights.to_float() : full({count}, {1.0}, DType::float32);
        of_rows = aten("index_select", weight, 0, classes) * counts;
    }
};

Tensor per_row(const Tensor& x) { return aten("unsqueeze", x, 1); }

}  // namespace

// The z-loss is documented and no CANN computes it; its outputs are not written.
ACLNN_CHECKED(aclnnCrossEntropyLoss, Tensor input, Tensor target, Optional<Tensor> weight,
              String reduction, Int ignoreIndex, double labelSmoothing,
              REFUSED(double, lseSquareScaleForZloss), REFUSED(bool, returnZloss), Out loss,
              Out logProb, Unused<Out>, Unused<Out>) {
    check_reduction(reduction, labelSmoothing);
    check_classes("input", input, target);
    const Int count = input.size(1);
    const Targets rows(target, weight, count, ignoreIndex);
    const Tensor log_probabilities = aten("log_softmax.int", input.to_float(), Int{1});
    logProb = log_probabilities;
    const Tensor own = aten("gather", log_probabilities, 1, per_row(rows.classes));
    const Tensor nll = -(own.reshape({-1}) * rows.of_rows);
    const Tensor smooth = -(log_probabilities * rows.weight).sum({1}) * rows.counts;
    const Tensor losses =
        nll * (1 - labelSmoothing) + smooth * (labelSmoothing / static_cast<double>(count));
    if (reduction == "none") {
        loss = losses;
    } else {
        const Tensor total = losses.sum({0}, true);
        loss = reduction == "sum" ? total : total / rows.of_rows.sum({0}, true);
    }
}

ACLNN_CHECKED(aclnnCrossEntropyLossGrad, Tensor gradLoss, Tensor logProb, Tensor target,
              Optional<Tensor> weight, REFUSED(Tensor, gradZloss), REFUSED(Tensor, lseForZloss),
              String reduction, Int ignoreIndex, double labelSmoothing,
              REFUSED(double, lseSquareScaleForZloss), Out out) {
    check_reduction(reduction, labelSmoothing);
    check_classes("logProb", logProb, target);
    require(gradLoss.numel() == (reduction == "none" ? logProb.size(0) : 1),
            "gradLoss must have one element, or one per row with reduction none");
    const Int count = logProb.size(1);
    const Targets rows(target, weight, count, ignoreIndex);
    Tensor grad = gradLoss.to_float().reshape({-1});
    if (reduction == "mean") {
        grad = grad / rows.of_rows.sum({0}, true);
    }
    const Tensor probabilities = aten("exp", logProb.to_float());
    const Tensor nll = per_row(grad * rows.of_rows) * (1 - labelSmoothing);
    const Tensor own = aten("one_hot", rows.classes, count).to_float();
    const Tensor smooth =
        per_row(grad * rows.counts) * (labelSmoothing / static_cast<double>(count)) * rows.weight;
    out = (probabilities - own) * nll + probabilities * smooth.sum({1}, true) - smooth;
}
