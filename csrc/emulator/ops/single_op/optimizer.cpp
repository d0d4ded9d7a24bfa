// Optimizers of the single-operator interface.
#include <cmath>

#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

// var, m, v, beta1^t, beta2^t, lr, beta1, beta2, epsilon, grad -> var, m, v
SINGLE_OP(ApplyAdamD) {
    operands.accept_attributes({"use_locking", "use_nesterov"});
    const auto number = [&](std::size_t index) { return operands.input(index).item(); };
    const Tensor grad = operands.input(9).to_float();
    const Tensor m = operands.input(1).to_float() * number(6) + grad * (1 - number(6));
    const Tensor v = operands.input(2).to_float() * number(7) + grad * grad * (1 - number(7));
    const double rate = number(5) * std::sqrt(1 - number(4)) / (1 - number(3));
    const Tensor step = operands.flag("use_nesterov") ? m * number(6) + grad * (1 - number(6)) : m;
    operands.output(0) = operands.input(0).to_float() - step * rate / (aten("sqrt", v) + number(8));
    operands.output(1) = m;
    operands.output(2) = v;
}
