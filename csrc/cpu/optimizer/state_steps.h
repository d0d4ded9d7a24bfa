// The step counters of an optimizer, one per parameter: one-element tensors, as in torch's states.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cpu/optimizer/parameters.h"

namespace ascend_ops {

class StateSteps {
  public:
    explicit StateSteps(TensorList list) : list_(std::move(list)), counters_(list_.size()) {}

    std::size_t count() const { return counters_.size(); }

    /// Returns the number of parameter i's next update; the first is 1.
    std::int64_t next(std::size_t i) {
        const HostTensor step = list_.at(i);
        if (step.scalar_type != torch::headeronly::ScalarType::Float || step.numel != 1) {
            fail(step.name, "be one element of dtype float32",
                 dtype_text(step) + " of shape " + to_text(step.sizes));
        }
        counters_[i] = static_cast<float*>(step.data);
        const float value = *counters_[i];
        if (!(value >= 0.0F && value < 1e18F)) {  // false for NaN
            fail(step.name, "be a number of updates of at least 0", to_text(value));
        }
        return static_cast<std::int64_t>(value) + 1;
    }

    /// Counts one update of every parameter. next() must have been called for each of them.
    void count_update() const {
        for (float* counter : counters_) {
            *counter += 1.0F;
        }
    }

  private:
    TensorList list_;
    std::vector<float*> counters_;
};

template <class Arguments>
StateSteps take_steps(Arguments& arguments) {
    return StateSteps(take_list(arguments, "step"));
}

}  // namespace ascend_ops
