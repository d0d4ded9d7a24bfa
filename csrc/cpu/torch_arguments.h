// The arguments of a boxed kernel on torch's stable ABI.
//
// TORCH_BOX writes the boxed function for a plain one, through a std::tuple of the arguments. For
// the seven ops of Adam that costs 0.25 of 1.4 CPU seconds of compiling; reading them here does
// not.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <stdexcept>

namespace ascend_ops {

/// Takes over the arguments, each once and in the order of the op's schema. One that is never
/// taken leaks.
class ArgumentReader {
  public:
    ArgumentReader(const StableIValue* values, std::uint64_t count)
        : next_(values), end_(values + count) {}

    /// T by the schema's type: std::int64_t for int, double for float, bool, std::string for str,
    /// torch::stable::Tensor.
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
