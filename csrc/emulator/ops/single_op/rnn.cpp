// DynamicRNN, DynamicRNNV2 and DynamicGRUV2, which torch_npu calls for LSTM and GRU in bf16 or in
// several layers, and their gradients. Weights are [I + H, gates * H], or [I, gates * H] and
// [H, gates * H].
#include "emulator/ops/checks.h"
#include "emulator/ops/rnn_layer.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

void require_text(const SingleOpOperands& operands, const char* name,
                  std::initializer_list<const char*> accepted) {
    const std::string found = operands.text(name, *accepted.begin());
    for (const char* each : accepted) {
        if (found == each) {
            return;
        }
    }
    not_emulated(std::string(name) + " " + found);
}

void require_number(const SingleOpOperands& operands, const char* name, double wanted) {
    const double found = operands.number(name, wanted);
    if (found != wanted) {
        not_emulated(std::string(name) + " " + std::to_string(found));
    }
}

/// Refuse what changes the result and is not emulated. cell_depth and keep_prob of the gradients
/// have no effect: torch_npu passes values that no forward pass has.
void check_attributes(const SingleOpOperands& operands) {
    require_text(operands, "direction", {"UNIDIRECTIONAL", "REDIRECTIONAL"});
    require_text(operands, "activation", {"tanh"});
    require_text(operands, "recurrent_activation", {"sigmoid"});
    require_text(operands, "gate_order", {"ifjo", "ifco", "rzh"});
    require_number(operands, "use_peephole", 0);
    require_number(operands, "num_proj", 0);
    require_number(operands, "forget_bias", 0);
    require_number(operands, "time_major", 1);
    if (operands.number("cell_clip", -1) > 0) {
        not_emulated("cell_clip");
    }
}

/// An input of the forward pass that is given has one element per sequence and time; the gradients
/// get a tensor without dimensions for one that is not.
Tensor mask_of(const Tensor& mask) {
    return mask.defined() && mask.dim() == 3 ? mask.to_float() : Tensor();
}

TimeSteps steps_of(const SingleOpOperands& operands, const Tensor& mask) {
    return {operands.text("direction") == "REDIRECTIONAL", mask_of(mask)};
}

Tensor transposed(const Tensor& weight) { return weight.to_float().transpose(0, 1); }

Tensor wide_state(const Tensor& tensor) { return tensor.defined() ? tensor.to_float() : tensor; }

/// A state [1, B, H] or [B, H] as [B, H].
Tensor state(const Tensor& tensor) {
    return tensor.to_float().reshape({tensor.size(-2), tensor.size(-1)});
}

/// Both weights of a matrix [I + H, gates * H].
TensorList parts_of(const Tensor& weight, Int input_size) {
    return aten_all("split_with_sizes", weight, IntList{input_size, weight.size(0) - input_size},
                    0);
}

RecurrentWeights weights_of(const Tensor& joined, Int input_size, const Tensor& bias) {
    const TensorList parts = parts_of(joined.to_float(), input_size);
    return {transposed(parts[0]), transposed(parts[1]), wide_state(bias), {}};
}

void write(const SingleOpOperands& operands, const LstmStates& states) {
    const Tensor* results[] = {&states.y, &states.h, &states.c, &states.i,
                               &states.g, &states.f, &states.o, &states.tanh_c};
    for (std::size_t i = 0; i < operands.outputs(); ++i) {
        operands.output(i) = *results[i];
    }
}

/// The states of the forward pass from the inputs i, j, f, o and tanhc, in this order from `first`.
LstmStates states_of(const SingleOpOperands& operands, std::size_t h, std::size_t c,
                     std::size_t first) {
    const auto input = [&](std::size_t index) { return operands.input(index).to_float(); };
    return {{},
            input(h),
            input(c),
            input(first),
            input(first + 2),
            input(first + 1),
            input(first + 3),
            input(first + 4)};
}

}  // namespace

// x, w, b, seq_length, init_h, init_c -> y, output_h, output_c, i, j, f, o, tanhc
SINGLE_OP(DynamicRNN) {
    check_attributes(operands);
    const Tensor x = operands.input(0).to_float();
    write(operands, lstm(x, weights_of(operands.input(1), x.size(2), operands.input(2)),
                         state(operands.input(4)), state(operands.input(5)),
                         steps_of(operands, operands.input(3))));
}

// x, w, b, y, init_h, init_c, h, c, dy, dh, dc, i, j, f, o, tanhc, seq_length, mask, wci, wcf, wco
// -> dw, db, dx, dh_prev, dc_prev
SINGLE_OP(DynamicRNNGrad) {
    check_attributes(operands);
    const Tensor x = operands.input(0).to_float();
    const RecurrentGradients grads = lstm_gradients(
        x, weights_of(operands.input(1), x.size(2), operands.input(2)), state(operands.input(4)),
        state(operands.input(5)), states_of(operands, 6, 7, 11),
        steps_of(operands, operands.input(16)), operands.input(8).to_float(),
        state(operands.input(9)), state(operands.input(10)));
    operands.output(0) =
        aten("cat", TensorList{grads.weights.input, grads.weights.hidden}, 1).transpose(0, 1);
    operands.output(1) = grads.weights.input_bias;
    operands.output(2) = grads.x;
    operands.output(3) = grads.h;
    operands.output(4) = grads.c;
}

// x, weight_input, weight_hidden, b, seq_length, init_h, init_c -> as DynamicRNN
SINGLE_OP(DynamicRNNV2) {
    check_attributes(operands);
    const RecurrentWeights weights{transposed(operands.input(1)),
                                   transposed(operands.input(2)),
                                   wide_state(operands.input(3)),
                                   {}};
    write(operands, lstm(operands.input(0).to_float(), weights, state(operands.input(5)),
                         state(operands.input(6)), steps_of(operands, operands.input(4))));
}

// x, w_x, w_h, y, init_h, init_c, h, c, dy, dh, dc, i, j, f, o, tanhc, seq_length, wci, wcf, wco,
// mask -> dw_x, dw_h, db, dx, dh_prev, dc_prev
SINGLE_OP(DynamicRNNV2Grad) {
    check_attributes(operands);
    const auto time_major = [](const Tensor& t) {
        return t.to_float().reshape({-1, t.size(-2), t.size(-1)});
    };
    LstmStates states = states_of(operands, 6, 7, 11);
    states.h = time_major(states.h);
    states.c = time_major(states.c);
    const RecurrentWeights weights{
        transposed(operands.input(1)), transposed(operands.input(2)), {}, {}};
    const RecurrentGradients grads = lstm_gradients(
        time_major(operands.input(0)), weights, state(operands.input(4)), state(operands.input(5)),
        states, steps_of(operands, operands.input(16)), time_major(operands.input(8)),
        state(operands.input(9)), state(operands.input(10)));
    operands.output(0) = grads.weights.input.transpose(0, 1);
    operands.output(1) = grads.weights.hidden.transpose(0, 1);
    operands.output(2) = grads.weights.input_bias;
    operands.output(3) = grads.x.reshape(operands.input(0).sizes());
    operands.output(4) = grads.h;
    operands.output(5) = grads.c;
}

// x, weight_input, weight_hidden, bias_input, bias_hidden, seq_length, init_h
// -> y, output_h, update, reset, new, hidden_new
SINGLE_OP(DynamicGRUV2) {
    check_attributes(operands);
    require_number(operands, "reset_after", 1);
    if (operands.input(5).defined()) {
        not_emulated("seq_length of DynamicGRUV2");
    }
    const RecurrentWeights weights{transposed(operands.input(1)), transposed(operands.input(2)),
                                   wide_state(operands.input(3)), wide_state(operands.input(4))};
    const GruStates states =
        gru(operands.input(0).to_float(), weights, state(operands.input(6)), {});
    const Tensor* results[] = {&states.h,     &states.h,     &states.update,
                               &states.reset, &states.fresh, &states.hidden};
    for (std::size_t i = 0; i < operands.outputs(); ++i) {
        operands.output(i) = *results[i];
    }
}

// x, weight_input, weight_hidden, y, init_h, h, dy, dh, update, reset, new, hidden_new, seq_length,
// mask -> dw_input, dw_hidden, db_input, db_hidden, dx, dh_prev
SINGLE_OP(DynamicGRUV2Grad) {
    check_attributes(operands);
    require_number(operands, "reset_after", 1);
    const auto input = [&](std::size_t index) { return operands.input(index).to_float(); };
    const RecurrentWeights weights{
        transposed(operands.input(1)), transposed(operands.input(2)), {}, {}};
    const RecurrentGradients grads =
        gru_gradients(input(0), weights, state(operands.input(4)),
                      {input(5), input(9), input(8), input(10), input(11)}, {}, input(6),
                      state(operands.input(7)));
    operands.output(0) = grads.weights.input.transpose(0, 1);
    operands.output(1) = grads.weights.hidden.transpose(0, 1);
    operands.output(2) = grads.weights.input_bias;
    operands.output(3) = grads.weights.hidden_bias;
    operands.output(4) = grads.x;
    operands.output(5) = grads.h;
}
