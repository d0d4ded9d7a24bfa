// LSTM and GRU of several layers and directions, and the fused cell of LSTM.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/rnn_layer.h"

using namespace ascend_emulator;

namespace {

/// The attributes that both networks have. A cell is a layer in one direction; the cells of a layer
/// stand side by side in every list, and along the first dimension of the states.
struct Network {
    bool has_bias;
    Int layers;
    bool bidirectional;
    bool batch_first;

    Int directions() const { return bidirectional ? 2 : 1; }
    Int cells() const { return layers * directions(); }

    /// x as [T, B, I] in fp32. With batch_sizes it is [T * B, I], or the gradient of an output.
    Tensor time_major(const Tensor& x, const Tensor& batch_sizes) const {
        const Tensor wide = x.to_float();
        if (batch_sizes.defined()) {
            const Int times = batch_sizes.numel();
            return wide.reshape({times, -1, x.size(-1)});
        }
        return batch_first ? wide.transpose(0, 1) : wide;
    }
    /// A result [T, B, I] in the layout of x.
    Tensor in_layout_of(const Tensor& x, const Tensor& time_major) const {
        return x.dim() == 2  ? time_major.reshape({-1, time_major.size(-1)})
               : batch_first ? time_major.transpose(0, 1)
                             : time_major;
    }
    void check(const Tensors& params, const Tensor& x, const Tensor& batch_sizes) const {
        const Int wanted = cells() * (has_bias ? 4 : 2);
        require(layers > 0, "numLayers must be at least 1, got " + std::to_string(layers));
        require(params.size() == as_index(wanted), "params must be a list of " +
                                                       std::to_string(wanted) + " tensors, got " +
                                                       std::to_string(params.size()));
        const Int rank = batch_sizes.defined() ? 2 : 3;
        require(x.dim() == rank, "input must have " + std::to_string(rank) + " dimensions, got " +
                                     std::to_string(x.dim()));
    }
    RecurrentWeights weights(const Tensors& params, Int cell) const {
        const std::size_t first = as_index(cell * (has_bias ? 4 : 2));
        RecurrentWeights found{params[first].to_float(), params[first + 1].to_float(), {}, {}};
        if (has_bias) {
            found.input_bias = params[first + 2].to_float();
            found.hidden_bias = params[first + 3].to_float();
        }
        return found;
    }
    void write(const RecurrentWeights& grads, Int cell, const Outs& out) const {
        const std::size_t first = as_index(cell * (has_bias ? 4 : 2));
        assign(out.tensors[first], grads.input);
        assign(out.tensors[first + 1], grads.hidden);
        if (has_bias) {
            assign(out.tensors[first + 2], grads.input_bias);
            assign(out.tensors[first + 3], grads.hidden_bias);
        }
    }
};

/// The initial state of a cell, or zeros if the caller passed none.
Tensor initial_state(const Tensor& states, Int cell, const Tensor& x, Int size) {
    return states.defined() ? at_time(states, cell).to_float()
                            : full({x.size(1), size}, Scalar{0.0}, DType::float32);
}

/// [T, B, 1]: whether time t has sequence b, which are sorted by length.
Tensor mask_of(const Tensor& batch_sizes, const Tensor& x) {
    if (!batch_sizes.defined()) {
        return {};
    }
    const Tensor counts = batch_sizes.to(DType::int64).reshape({-1, 1});
    return aten("lt.Tensor", arange(x.size(1)).reshape({1, -1}), counts)
        .to_float()
        .reshape({x.size(0), x.size(1), 1});
}

/// The gradient of one direction's half of a layer's output.
Tensor direction_of(const Tensor& grad, Int direction, Int size) {
    return aten("narrow", grad, -1, direction * size, size);
}

Tensor or_zeros(const Tensor& grad, const IntList& sizes) {
    return grad.defined() ? grad.to_float() : full(sizes, Scalar{0.0}, DType::float32);
}

void write_at(const Outs& out, Int cell, const Tensor& value) {
    if (!out.tensors.empty()) {
        assign(out.tensors[as_index(cell)], value);
    }
}

/// The lists that the forward pass of LSTM keeps for the backward pass.
struct LstmLists {
    Tensors i, g, f, o, h, c, tanh_c;
    LstmStates at_cell(Int cell) const {
        const auto wide = [cell](const Tensors& list) { return list[as_index(cell)].to_float(); };
        return {{}, wide(h), wide(c), wide(i), wide(f), wide(g), wide(o), wide(tanh_c)};
    }
};

}  // namespace

// CANN documents that dropout between layers is not supported, and ignores it.
ACLNN_CHECKED(aclnnLSTM, Tensor input, Tensors params, Optional<Tensors> hx,
              Optional<Tensor> batch_sizes, bool has_bias, Int layers, Unused<double> dropout,
              bool train, bool bidirectional, bool batch_first, Out output, Out hy, Out cy,
              Optional<Outs> i_out, Optional<Outs> j_out, Optional<Outs> f_out,
              Optional<Outs> o_out, Optional<Outs> h_out, Optional<Outs> c_out,
              Optional<Outs> tanh_out) {
    (void)dropout;
    const Network network{has_bias, layers, bidirectional, batch_first};
    network.check(params, input, batch_sizes);
    Tensor x = network.time_major(input, batch_sizes);
    const Tensor mask = mask_of(batch_sizes, x);
    TensorList last_h;
    TensorList last_c;
    for (Int layer = 0; layer < layers; ++layer) {
        TensorList outputs;
        for (Int direction = 0; direction < network.directions(); ++direction) {
            const Int cell = layer * network.directions() + direction;
            const RecurrentWeights weights = network.weights(params, cell);
            const TimeSteps steps{direction == 1, mask};
            const Int size = weights.hidden.size(1);
            const LstmStates states =
                lstm(x, weights, initial_state(hx.empty() ? Tensor() : hx[0], cell, x, size),
                     initial_state(hx.empty() ? Tensor() : hx[1], cell, x, size), steps);
            outputs.push_back(states.y);
            last_h.push_back(at_time(states.h, steps.last(x.size(0))));
            last_c.push_back(at_time(states.c, steps.last(x.size(0))));
            write_at(h_out, cell, states.h);
            write_at(c_out, cell, states.c);
            if (train) {
                write_at(i_out, cell, states.i);
                write_at(j_out, cell, states.g);
                write_at(f_out, cell, states.f);
                write_at(o_out, cell, states.o);
                write_at(tanh_out, cell, states.tanh_c);
            }
        }
        x = aten("cat", outputs, -1);
    }
    output = batch_sizes.defined() ? x : network.in_layout_of(input, x);
    hy = aten("stack", last_h, 0);
    cy = aten("stack", last_c, 0);
}

ACLNN_CHECKED(aclnnLstmBackward, Tensor input, Tensors hx, Tensors params, Optional<Tensor> dy,
              Optional<Tensor> dh, Optional<Tensor> dc, Tensors i, Tensors g, Tensors f, Tensors o,
              Tensors h, Tensors c, Tensors tanh_c, Optional<Tensor> batch_sizes, bool has_bias,
              Int layers, Unused<double> dropout, Unused<bool> train, bool bidirectional,
              bool batch_first, Unused<Bools> output_mask, Out grad_x, Out grad_h, Out grad_c,
              Outs grad_params) {
    (void)dropout, (void)train, (void)output_mask;
    const Network network{has_bias, layers, bidirectional, batch_first};
    network.check(params, input, batch_sizes);
    const LstmLists lists{i, g, f, o, h, c, tanh_c};
    const Tensor x = network.time_major(input, batch_sizes);
    const Tensor mask = mask_of(batch_sizes, x);
    const Int size = h[0].size(-1);
    const Int directions = network.directions();
    Tensor grad = dy.defined() ? network.time_major(dy, batch_sizes)
                               : or_zeros({}, {x.size(0), x.size(1), size * directions});
    const Tensor last_h = or_zeros(dh, {network.cells(), x.size(1), size});
    const Tensor last_c = or_zeros(dc, {network.cells(), x.size(1), size});
    TensorList first_h(as_index(network.cells()));
    TensorList first_c(as_index(network.cells()));
    for (Int layer = layers - 1; layer >= 0; --layer) {
        TensorList below;
        for (Int d = 0; layer > 0 && d < directions; ++d) {
            const Tensor y = h[as_index((layer - 1) * directions + d)].to_float();
            below.push_back(mask.defined() ? y * mask : y);
        }
        const Tensor layer_x = layer == 0 ? x : aten("cat", below, -1);
        Tensor grad_below;
        for (Int direction = 0; direction < directions; ++direction) {
            const Int cell = layer * directions + direction;
            const RecurrentGradients grads = lstm_gradients(
                layer_x, network.weights(params, cell), at_time(hx[0], cell).to_float(),
                at_time(hx[1], cell).to_float(), lists.at_cell(cell), {direction == 1, mask},
                direction_of(grad, direction, size), at_time(last_h, cell), at_time(last_c, cell));
            first_h[as_index(cell)] = grads.h;
            first_c[as_index(cell)] = grads.c;
            network.write(grads.weights, cell, grad_params);
            grad_below = grad_below.defined() ? grad_below + grads.x : grads.x;
        }
        grad = grad_below;
    }
    grad_x = network.in_layout_of(input, grad);
    grad_h = aten("stack", first_h, 0);
    grad_c = aten("stack", first_c, 0);
}

ACLNN_CHECKED(aclnnGRU, Tensor input, Tensors params, Optional<Tensor> hx,
              REFUSED(Tensor, batchSizes), bool has_bias, Int layers, Unused<double> dropout,
              bool train, bool bidirectional, bool batch_first, Out output, Out hy,
              Optional<Outs> r_out, Optional<Outs> z_out, Optional<Outs> n_out,
              Optional<Outs> hn_out, Optional<Outs> h_out) {
    (void)dropout;
    const Network network{has_bias, layers, bidirectional, batch_first};
    network.check(params, input, {});
    Tensor x = network.time_major(input, {});
    TensorList last;
    for (Int layer = 0; layer < layers; ++layer) {
        TensorList outputs;
        for (Int direction = 0; direction < network.directions(); ++direction) {
            const Int cell = layer * network.directions() + direction;
            const RecurrentWeights weights = network.weights(params, cell);
            const TimeSteps steps{direction == 1, {}};
            const GruStates states =
                gru(x, weights, initial_state(hx, cell, x, weights.hidden.size(1)), steps);
            outputs.push_back(states.h);
            last.push_back(at_time(states.h, steps.last(x.size(0))));
            if (train) {
                write_at(r_out, cell, states.reset);
                write_at(z_out, cell, states.update);
                write_at(n_out, cell, states.fresh);
                write_at(hn_out, cell, states.hidden);
                write_at(h_out, cell, states.h);
            }
        }
        x = aten("cat", outputs, -1);
    }
    output = network.in_layout_of(input, x);
    hy = aten("stack", last, 0);
}

ACLNN_CHECKED(aclnnGRUBackward, Tensor input, Tensors params, Tensor hx, Tensor dy, Tensor dh,
              Tensors r, Tensors z, Tensors n, Tensors h_n, Tensors h, REFUSED(Tensor, batchSizes),
              bool has_bias, Int layers, bool bidirectional, bool batch_first, Out grad_x,
              Out grad_h, Outs grad_params) {
    const Network network{has_bias, layers, bidirectional, batch_first};
    network.check(params, input, {});
    const Tensor x = network.time_major(input, {});
    const Int size = h[0].size(-1);
    const Int directions = network.directions();
    Tensor grad = network.time_major(dy, {});
    TensorList first(as_index(network.cells()));
    for (Int layer = layers - 1; layer >= 0; --layer) {
        TensorList below;
        for (Int d = 0; layer > 0 && d < directions; ++d) {
            below.push_back(h[as_index((layer - 1) * directions + d)].to_float());
        }
        const Tensor layer_x = layer == 0 ? x : aten("cat", below, -1);
        Tensor grad_below;
        for (Int direction = 0; direction < directions; ++direction) {
            const Int cell = layer * directions + direction;
            const auto wide = [cell](const Tensors& list) {
                return list[as_index(cell)].to_float();
            };
            const RecurrentGradients grads =
                gru_gradients(layer_x, network.weights(params, cell), at_time(hx, cell).to_float(),
                              {wide(h), wide(r), wide(z), wide(n), wide(h_n)}, {direction == 1, {}},
                              direction_of(grad, direction, size), at_time(dh, cell).to_float());
            first[as_index(cell)] = grads.h;
            network.write(grads.weights, cell, grad_params);
            grad_below = grad_below.defined() ? grad_below + grads.x : grads.x;
        }
        grad = grad_below;
    }
    grad_x = network.in_layout_of(input, grad);
    grad_h = aten("stack", first, 0);
}

// The gates are in the order input, forget, cell, output, as torch's are.
ACLNN(aclnnThnnFusedLstmCell, Tensor input_gates, Tensor hidden_gates, Tensor cx,
      Optional<Tensor> input_bias, Optional<Tensor> hidden_bias, Out hy, Out cy, Out storage) {
    Tensor gates = input_gates.to_float() + hidden_gates.to_float();
    gates = input_bias.defined() ? gates + input_bias.to_float() : gates;
    gates = hidden_bias.defined() ? gates + hidden_bias.to_float() : gates;
    const LstmCell cell(gates, cx.to_float());
    hy = cell.o * aten("tanh", cell.c);
    cy = cell.c;
    storage = aten("cat", TensorList{cell.i, cell.f, cell.g, cell.o}, -1);
}
ACLNN(aclnnThnnFusedLstmCellBackward, Optional<Tensor> grad_hy, Optional<Tensor> grad_cy, Tensor cx,
      Tensor cy, Tensor storage, bool has_bias, Out grad_gates, Out grad_cx,
      Optional<Out> grad_bias) {
    const TensorList gates = aten_all("chunk", storage.to_float(), 4, -1);
    const Tensor c = cy.to_float();
    const LstmStates states{{}, {}, {}, gates[0], gates[1], gates[2], gates[3], aten("tanh", c)};
    const LstmCellGradients grads(or_zeros(grad_hy, cx.sizes()), or_zeros(grad_cy, cx.sizes()),
                                  states, cx.to_float(), {});
    grad_gates = grads.gates;
    grad_cx = grads.c_before;
    if (has_bias) {
        grad_bias = grads.gates.sum({0});
    }
}
