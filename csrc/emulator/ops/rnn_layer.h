// LSTM and GRU for one layer and one direction, and their gradients, in fp32.
//
// x is [T, B, I] and each state is [T, B, H]. The formulas are those of CANN's documentation of
// aclnnLSTM, aclnnLstmBackward, aclnnGRU and aclnnGRUBackward.
#pragma once

#include "emulator/aten/value.h"

namespace ascend_emulator {

/// The order of the time steps, and those that each sequence has.
struct TimeSteps {
    bool backwards = false;
    Tensor mask;  // [T, B, 1 or H]: 0 leaves the state as it was; undefined if none does

    /// The time at which step `step` of `count` is computed.
    std::int64_t time(std::int64_t step, std::int64_t count) const {
        return backwards ? count - 1 - step : step;
    }
    std::int64_t last(std::int64_t count) const { return time(count - 1, count); }
};

/// [gates * H, I], [gates * H, H] and [gates * H]. A bias may be undefined. The gates of LSTM are
/// in the order input, forget, cell, output; those of GRU are reset, update, new.
struct RecurrentWeights {
    Tensor input;
    Tensor hidden;
    Tensor input_bias;
    Tensor hidden_bias;
};

/// What the forward pass returns and the backward pass reads.
struct LstmStates {
    Tensor y;  // h, but 0 where the mask is
    Tensor h;
    Tensor c;
    Tensor i;
    Tensor f;
    Tensor g;
    Tensor o;
    Tensor tanh_c;
};
struct GruStates {
    Tensor h;
    Tensor reset;
    Tensor update;
    Tensor fresh;   // the new gate
    Tensor hidden;  // W_hn h + b_hn
};

struct RecurrentGradients {
    Tensor x;
    Tensor h;  // of the initial state
    Tensor c;
    RecurrentWeights weights;
};

/// The gates of LSTM after their activations, and the next cell state.
struct LstmCell {
    /// `gates` are before their activations, [B, 4 * H].
    LstmCell(const Tensor& gates, const Tensor& c_before);
    Tensor i;
    Tensor f;
    Tensor g;
    Tensor o;
    Tensor c;
};

/// The gradients of one step of LSTM, of the gates before their activations, [B, 4 * H], and of the
/// cell state before.
struct LstmCellGradients {
    /// `states` are those of the step. Where `mask` is 0 the step left the cell state as it was; it
    /// may be undefined.
    LstmCellGradients(const Tensor& grad_h, const Tensor& grad_c, const LstmStates& states,
                      const Tensor& c_before, const Tensor& mask);
    Tensor gates;
    Tensor c_before;
};

LstmStates lstm(const Tensor& x, const RecurrentWeights& weights, const Tensor& h, const Tensor& c,
                const TimeSteps& steps);
/// `grad_y` is [T, B, H]; `grad_h` and `grad_c` are of the last step, [B, H].
RecurrentGradients lstm_gradients(const Tensor& x, const RecurrentWeights& weights, const Tensor& h,
                                  const Tensor& c, const LstmStates& states, const TimeSteps& steps,
                                  const Tensor& grad_y, const Tensor& grad_h, const Tensor& grad_c);

GruStates gru(const Tensor& x, const RecurrentWeights& weights, const Tensor& h,
              const TimeSteps& steps);
RecurrentGradients gru_gradients(const Tensor& x, const RecurrentWeights& weights, const Tensor& h,
                                 const GruStates& states, const TimeSteps& steps,
                                 const Tensor& grad_y, const Tensor& grad_h);

/// The part of x at index `at` of its first dimension.
Tensor at_time(const Tensor& x, std::int64_t at);

}  // namespace ascend_emulator
