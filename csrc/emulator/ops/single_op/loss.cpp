// Losses of the single-operator interface.
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
