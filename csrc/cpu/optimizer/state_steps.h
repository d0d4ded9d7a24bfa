// The counters of an optimizer's updates, one for each parameter, as torch keeps them in its state:
// tensors of one element.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cpu/optimizer/parameters.h"

namespace ascend_ops {

class StateSteps {
  public:
    explicit StateSteps(TensorList list)
        : list_(std::move(list)), counters_(list_.tensors.size()) {}

    std::size_t count() const { return counters_.size(); }

    /// The number of parameter i's update to come, from 1.
    std::int64_t next(std::size_t i) {
        const HostTensor step = list_.at(i);
        if (step.scalar_type != torch::headeronly::ScalarType::Float || step.numel != 1) {
            fail(step.name, "one element of dtype float32",
                 dtype_text(step) + " of shape " + to_text(step.sizes));
        }
        counters_[i] = static_cast<float*>(step.data);
        const float value = *counters_[i];
        if (!(value >= 0.0F && value < 1e18F)) {  // false for NaN
            fail(step.name, "a number of updates, 0 or more", to_text(value));
        }
        return static_cast<std::int64_t>(value) + 1;
    }

    /// After the update of all, each of which next() was asked for.
    void count_update() const {
        for (float* counter : counters_) {
            *counter += 1.0F;
        }
    }

  private:
    TensorList list_;
    std::vector<float*> counters_;
};

inline StateSteps take_steps(ArgumentReader& arguments) {
    return StateSteps(take_list(arguments, "step"));
}

}  // namespace ascend_ops
