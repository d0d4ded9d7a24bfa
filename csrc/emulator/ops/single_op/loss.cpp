// Losses of the single-operator interface.
#include "emulator/ops/ctc_loss.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

// features, labels: [N, C] -> loss [N], gradient of the features
SINGLE_OP(SoftmaxCrossEntropyWithLogits) {
    operands.accept_attributes({});
    const Tensor features = operands.input(0).to_float();
    const Tensor labels = operands.input(1).to_float();
    operands.output(0) = -(labels * aten("log_softmax.int", features, Int{1})).sum({1});
    operands.output(1) = aten("softmax.int", features, Int{1}) - labels;
}

// log_probs [T, N, C], targets, input_lengths, target_lengths -> loss [N], log_alpha. torch_npu
// adds a multiple of C to the attribute `blank`, to pass the longest target.
SINGLE_OP(CTCLossV2) {
    operands.accept_attributes({"blank", "zero_infinity"});
    const Tensor log_probs = operands.input(0).to_float();
    const IntList target_lengths = operands.input_ints(3);
    const Int blank = static_cast<Int>(operands.number("blank")) % log_probs.size(2);
    const TensorList found =
        aten_all("_ctc_loss", log_probs, operands.input(1), operands.input_ints(2), target_lengths,
                 blank, operands.flag("zero_infinity"));
    operands.output(0) = found[0];
    assign(used_alpha(operands.output(1).tensor, target_lengths), found[1]);
}

// gradient of the loss, log_probs, targets, input_lengths, target_lengths, loss, log_alpha ->
// gradient of log_probs
SINGLE_OP(CTCLossV2Grad) {
    operands.accept_attributes({"blank", "zero_infinity"});
    const IntList target_lengths = operands.input_ints(4);
    const Tensor log_alpha = used_alpha(operands.input(6).to_float(), target_lengths);
    operands.output(0) = aten(
        "_ctc_loss_backward", operands.input(0).to_float(), operands.input(1).to_float(),
        operands.input(2), operands.input_ints(3), target_lengths, operands.input(5).to_float(),
        log_alpha, static_cast<Int>(operands.number("blank")), operands.flag("zero_infinity"));
}
