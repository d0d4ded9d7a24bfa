// Reads the arguments of a boxed kernel on torch's stable ABI.
//
// TORCH_BOX generates the boxed function from a plain one through a std::tuple of the arguments.
// For the seven ops of Adam that takes 0.25 of 1.4 CPU seconds of compile time; this reader does
// not.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <stdexcept>

namespace ascend_ops {

/// Hands out the arguments, each once and in the order of the op's schema. An argument that is
/// never taken leaks.
class ArgumentReader {
  public:
    ArgumentReader(const StableIValue* values, std::uint64_t count)
        : next_(values), end_(values + count) {}

    /// Returns the next argument. T depends on the schema's type: std::int64_t for int, double for
    /// float, bool, std::string for str, torch::stable::Tensor.
    template <class T>
    T take() {
        if (next_ == end_) {
            throw std::logic_error("the op's schema has fewer arguments than its kernel takes");
        }
        return torch::stable::detail::to<T>(*next_++);
    }

  private:
    const StableIValue* next_;
    const StableIValue* end_;
};

}  // namespace ascend_ops
