#include "emulator/ops/rnn_layer.h"

namespace ascend_emulator {
namespace {

Tensor sigmoid(const Tensor& x) { return aten("sigmoid", x); }
Tensor tanh(const Tensor& x) { return aten("tanh", x); }
Tensor one_minus(const Tensor& x) { return -x + 1.0; }
/// The derivatives of both functions, by their values.
Tensor sigmoid_slope(const Tensor& y) { return y * one_minus(y); }
Tensor tanh_slope(const Tensor& y) { return one_minus(y * y); }

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
    return aten("linear", x, weight, bias);
}
Tensor joined(const TensorList& parts) { return aten("cat", parts, -1); }
Tensor stacked(const TensorList& parts) { return aten("stack", parts, 0); }
TensorList parts_of(const Tensor& gates, std::int64_t count) {
    return aten_all("chunk", gates, count, -1);
}
Tensor masked(const Tensor& x, const Tensor& mask) { return mask.defined() ? x * mask : x; }

Tensor mask_at(const TimeSteps& steps, std::int64_t time) {
    return steps.mask.defined() ? at_time(steps.mask, time) : Tensor();
}

/// The state before each step, in the order of time.
TensorList before_steps(const Tensor& initial, const Tensor& states, const TimeSteps& steps) {
    const std::int64_t count = states.size(0);
    TensorList before(static_cast<std::size_t>(count));
    for (std::int64_t step = 0; step < count; ++step) {
        before[static_cast<std::size_t>(steps.time(step, count))] =
            step == 0 ? initial : at_time(states, steps.time(step - 1, count));
    }
    return before;
}

/// The gradients of x and of the weights, from those of the gates' parts that x and h give.
RecurrentGradients through_weights(const Tensor& x, const TensorList& h_before,
                                   const RecurrentWeights& weights, const TensorList& from_x,
                                   const TensorList& from_h) {
    const auto rows = [](const Tensor& t) { return t.reshape({-1, t.size(-1)}); };
    const Tensor input = stacked(from_x);
    const Tensor input_rows = rows(input);
    const Tensor hidden_rows = rows(stacked(from_h));
    RecurrentGradients grads;
    grads.x = aten("matmul", input, weights.input);
    grads.weights.input = aten("mm", input_rows.transpose(0, 1), rows(x));
    grads.weights.hidden = aten("mm", hidden_rows.transpose(0, 1), rows(stacked(h_before)));
    grads.weights.input_bias = input_rows.sum({0});
    grads.weights.hidden_bias = hidden_rows.sum({0});
    return grads;
}

}  // namespace

Tensor at_time(const Tensor& x, std::int64_t at) { return aten("select.int", x, 0, at); }

LstmCell::LstmCell(const Tensor& gates, const Tensor& c_before) {
    const TensorList parts = parts_of(gates, 4);
    i = sigmoid(parts[0]);
    f = sigmoid(parts[1]);
    g = tanh(parts[2]);
    o = sigmoid(parts[3]);
    c = f * c_before + i * g;
}

LstmCellGradients::LstmCellGradients(const Tensor& grad_h, const Tensor& grad_c,
                                     const LstmStates& states, const Tensor& c_before_step,
                                     const Tensor& mask) {
    const Tensor c = grad_c + grad_h * states.o * tanh_slope(states.tanh_c);
    const Tensor into = masked(c, mask);
    gates = joined(
        {into * states.g * sigmoid_slope(states.i), into * c_before_step * sigmoid_slope(states.f),
         into * states.i * tanh_slope(states.g), grad_h * states.tanh_c * sigmoid_slope(states.o)});
    c_before = into * states.f;
    if (mask.defined()) {
        c_before = c_before + (c - into);
    }
}

LstmStates lstm(const Tensor& x, const RecurrentWeights& weights, const Tensor& h0,
                const Tensor& c0, const TimeSteps& steps) {
    const std::int64_t count = x.size(0);
    const Tensor from_x = linear(x, weights.input, weights.input_bias);
    const auto length = static_cast<std::size_t>(count);
    TensorList y(length), h(length), c(length), i(length), f(length), g(length), o(length),
        tanh_c(length);
    Tensor h_before = h0;
    Tensor c_before = c0;
    for (std::int64_t step = 0; step < count; ++step) {
        const std::int64_t time = steps.time(step, count);
        const Tensor mask = mask_at(steps, time);
        const auto t = static_cast<std::size_t>(time);
        const LstmCell cell(
            at_time(from_x, time) + linear(h_before, weights.hidden, weights.hidden_bias),
            c_before);
        c[t] = cell.c;
        if (mask.defined()) {
            c[t] = cell.c * mask + c_before * one_minus(mask);
        }
        tanh_c[t] = tanh(c[t]);
        y[t] = masked(cell.o * tanh_c[t], mask);
        h[t] = mask.defined() ? y[t] + h_before * one_minus(mask) : y[t];
        i[t] = cell.i;
        f[t] = cell.f;
        g[t] = cell.g;
        o[t] = cell.o;
        h_before = h[t];
        c_before = c[t];
    }
    return {stacked(y), stacked(h), stacked(c), stacked(i),
            stacked(f), stacked(g), stacked(o), stacked(tanh_c)};
}

RecurrentGradients lstm_gradients(const Tensor& x, const RecurrentWeights& weights,
                                  const Tensor& h0, const Tensor& c0, const LstmStates& states,
                                  const TimeSteps& steps, const Tensor& grad_y,
                                  const Tensor& grad_h, const Tensor& grad_c) {
    const std::int64_t count = x.size(0);
    const TensorList h_before = before_steps(h0, states.h, steps);
    const TensorList c_before = before_steps(c0, states.c, steps);
    TensorList gates(static_cast<std::size_t>(count));
    Tensor h = grad_h;
    Tensor c = grad_c;
    for (std::int64_t step = count - 1; step >= 0; --step) {
        const std::int64_t time = steps.time(step, count);
        const auto t = static_cast<std::size_t>(time);
        const Tensor mask = mask_at(steps, time);
        const LstmStates at{{},
                            {},
                            {},
                            at_time(states.i, time),
                            at_time(states.f, time),
                            at_time(states.g, time),
                            at_time(states.o, time),
                            at_time(states.tanh_c, time)};
        const Tensor into = masked(at_time(grad_y, time) + h, mask);
        const Tensor past = mask.defined() ? h * one_minus(mask) : Tensor();
        const LstmCellGradients cell(into, c, at, c_before[t], mask);
        gates[t] = cell.gates;
        c = cell.c_before;
        h = aten("mm", cell.gates, weights.hidden);
        h = past.defined() ? h + past : h;
    }
    RecurrentGradients grads = through_weights(x, h_before, weights, gates, gates);
    grads.h = h;
    grads.c = c;
    return grads;
}

GruStates gru(const Tensor& x, const RecurrentWeights& weights, const Tensor& h0,
              const TimeSteps& steps) {
    const std::int64_t count = x.size(0);
    const Tensor from_x = linear(x, weights.input, weights.input_bias);
    const auto length = static_cast<std::size_t>(count);
    TensorList h(length), reset(length), update(length), fresh(length), hidden(length);
    Tensor before = h0;
    for (std::int64_t step = 0; step < count; ++step) {
        const std::int64_t time = steps.time(step, count);
        const auto t = static_cast<std::size_t>(time);
        const TensorList of_x = parts_of(at_time(from_x, time), 3);
        const TensorList of_h = parts_of(linear(before, weights.hidden, weights.hidden_bias), 3);
        reset[t] = sigmoid(of_x[0] + of_h[0]);
        update[t] = sigmoid(of_x[1] + of_h[1]);
        hidden[t] = of_h[2];
        fresh[t] = tanh(of_x[2] + reset[t] * hidden[t]);
        h[t] = one_minus(update[t]) * fresh[t] + update[t] * before;
        before = h[t];
    }
    return {stacked(h), stacked(reset), stacked(update), stacked(fresh), stacked(hidden)};
}

RecurrentGradients gru_gradients(const Tensor& x, const RecurrentWeights& weights, const Tensor& h0,
                                 const GruStates& states, const TimeSteps& steps,
                                 const Tensor& grad_y, const Tensor& grad_h) {
    const std::int64_t count = x.size(0);
    const TensorList before = before_steps(h0, states.h, steps);
    TensorList from_x(static_cast<std::size_t>(count));
    TensorList from_h(static_cast<std::size_t>(count));
    Tensor h = grad_h;
    for (std::int64_t step = count - 1; step >= 0; --step) {
        const std::int64_t time = steps.time(step, count);
        const auto t = static_cast<std::size_t>(time);
        const Tensor reset = at_time(states.reset, time);
        const Tensor update = at_time(states.update, time);
        const Tensor fresh = at_time(states.fresh, time);
        const Tensor total = at_time(grad_y, time) + h;
        const Tensor of_fresh = total * one_minus(update) * tanh_slope(fresh);
        const Tensor of_update = total * (before[t] - fresh) * sigmoid_slope(update);
        const Tensor of_reset = of_fresh * at_time(states.hidden, time) * sigmoid_slope(reset);
        from_x[t] = joined({of_reset, of_update, of_fresh});
        from_h[t] = joined({of_reset, of_update, of_fresh * reset});
        h = aten("mm", from_h[t], weights.hidden) + total * update;
    }
    RecurrentGradients grads = through_weights(x, before, weights, from_x, from_h);
    grads.h = h;
    return grads;
}

}  // namespace ascend_emulator
