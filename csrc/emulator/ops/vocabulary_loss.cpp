// Cross entropy of a vocabulary that is divided over ranks. The collectives between the steps are
// the caller's.
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

/// Eight flags per byte, the first in the highest bit; what fills the last byte is 1.
Tensor packed(const std::vector<bool>& flags) {
    IntList bytes((flags.size() + 7) / 8, 0xFF);
    for (std::size_t i = 0; i < flags.size(); ++i) {
        if (!flags[i]) {
            bytes[i / 8] &= ~(Int{0x80} >> (i % 8));
        }
    }
    return integer_tensor(bytes);
}

bool flag(const IntList& bytes, std::size_t i) {
    return (bytes[i / 8] & (Int{0x80} >> (i % 8))) != 0;
}

Tensor logits_of(const Tensor& input, const Tensor& weight) {
    return aten("matmul", input.to_float(), weight.to_float().transpose(0, 1));
}

Tensor as_column(const Tensor& x) { return x.to_float().reshape({-1, 1}); }

}  // namespace

ACLNN(aclnnFusedLinearOnlineMaxSum, Tensor input, Tensor weight, Tensor target, Int vocabStartIndex,
      Int vocabEndIndex, Out logitsMaxLocal, Out sumExpLogitsLocal, Out predictedLogitsLocal,
      Out targetMask, Out maskedTarget, Optional<Out> vocabLogits) {
    const Tensor logits = logits_of(input, weight);
    const Tensor largest = aten("amax", logits, IntList{-1});
    const Tensor shifted = logits - as_column(largest);
    IntList chosen = integers_of(target);
    std::vector<bool> is_elsewhere(chosen.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        is_elsewhere[i] = chosen[i] < vocabStartIndex || chosen[i] > vocabEndIndex;
        chosen[i] = is_elsewhere[i] ? 0 : chosen[i] - vocabStartIndex;
    }
    const Tensor columns = integer_tensor(chosen);
    const Tensor predicted =
        aten("gather", shifted, Int{1}, columns.reshape({-1, 1})).reshape({-1});
    IntList kept;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        kept.push_back(is_elsewhere[i] ? -1 : static_cast<Int>(i));
    }
    logitsMaxLocal = largest;
    sumExpLogitsLocal = aten("exp", shifted).sum({-1});
    predictedLogitsLocal = gathered(predicted, kept);
    targetMask = packed(is_elsewhere);
    maskedTarget = columns;
    vocabLogits = logits;
}

// label smoothing, and the input and the weight that only it needs, are reserved.
ACLNN(aclnnFusedCrossEntropyLossWithMaxSum, Tensor logitsMax, Tensor sumExpLogits,
      Tensor predictedLogits, REFUSED(float, labelSmoothing), REFUSED(Tensor, input),
      REFUSED(Tensor, weight), Optional<Tensor> vocabLogits, Out loss, Optional<Out> softmax) {
    loss = aten("log", sumExpLogits) - predictedLogits;
    if (vocabLogits.defined()) {
        const Tensor shifted = vocabLogits.to_float() - as_column(logitsMax);
        softmax = aten("exp", shifted) / as_column(sumExpLogits);
    }
}

ACLNN(aclnnFusedLinearCrossEntropyLossGrad, Tensor grad, Tensor input, Tensor weight,
      Tensor targetMask, Tensor maskedTarget, REFUSED(float, labelSmoothing),
      Optional<Tensor> logitsMax, Optional<Tensor> sumExpLogits, Optional<Tensor> softmax,
      Out inputGrad, Out weightGrad) {
    Tensor probabilities = softmax;
    if (!softmax.defined()) {
        require(logitsMax.defined() && sumExpLogits.defined(),
                "logitsMax and sumExpLogits are required without softmax");
        probabilities =
            aten("exp", logits_of(input, weight) - as_column(logitsMax)) / as_column(sumExpLogits);
    }
    const IntList bytes = integers_of(targetMask);
    const Int rows = grad.size(0);
    const Tensor hits = full({rows, 1}, Scalar{0.0}, DType::float32);
    auto* hit = static_cast<float*>(hits.data());
    for (Int i = 0; i < rows; ++i) {
        hit[i] = flag(bytes, static_cast<std::size_t>(i)) ? 0.0F : 1.0F;
    }
    const Tensor columns = maskedTarget.to(DType::int64).reshape({-1, 1});
    const Tensor grads =
        aten("scatter_add", probabilities.to_float(), Int{1}, columns, -hits) * as_column(grad);
    inputGrad = aten("matmul", grads, weight.to_float());
    weightGrad = aten("matmul", grads.transpose(0, 1), input.to_float());
}
