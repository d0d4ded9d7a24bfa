// One operator of ATen, and how CANN's conventions for its arguments become ATen's.
//
// A device computes half precision in fp32 and rounds once; many of ATen's CPU kernels compute in
// half. So tensors of half precision are passed in fp32, and rounded where the result is assigned.
// Indices are int32 or int64 on a device, while ATen wants int64 in most operators.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <vector>

#include "emulator/aten/ivalue.h"

namespace ascend_emulator {

class Callee {
  public:
    explicit Callee(c10::OperatorHandle handle);
    /// Call with one value per argument of the schema; null is the schema's default.
    TensorList run(const std::vector<const Value*>& given) const;

    c10::OperatorHandle op;

  private:
    struct Argument {
        bool is_dtype;
        bool is_index;
        bool is_written;
    };
    /// A tensor that the operator writes, and the copy in fp32 that it was called with.
    struct Written {
        at::Tensor original;
        at::Tensor wide;
    };

    bool widens(const std::vector<const Value*>& given) const;
    void widen(const Argument& argument, c10::IValue* value, std::vector<Written>* written) const;

    std::vector<Argument> arguments_;
    bool is_exact_;  // in half precision as in fp32
};

}  // namespace ascend_emulator
