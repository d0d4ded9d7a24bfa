// The arguments of a call: their signature, and their form for a kernel.
#pragma once

#include <Python.h>
#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ascend_ops::direct_call {

/// Find torch's types. Returns false with an exception set if one is missing.
bool load_types();

/// The type of an argument, as a schema of torch prints it.
enum class Kind {
    tensor,
    optional_tensor,
    number,
    integer,
    boolean,
    integers,
    optional_integers,
    text
};

/// Return the kind that a schema prints as `name`. Throws std::invalid_argument for others, such as
/// lists of tensors.
Kind kind_of(const std::string& name);

/// Everything that the checks of an argument may depend on: the dtype, shape, strides and device of
/// a tensor, the value of a number.
using Signature = std::vector<std::uint64_t>;

/// Append the signature of `argument`. Returns false if the dispatcher has to see it: it is not
/// exactly of the kind's Python type, is not a plain tensor of an NPU, or needs a gradient.
bool append_signature(Kind kind, PyObject* argument, Signature& signature);

/// Return the form that a boxed kernel takes, of an argument that has a signature.
StableIValue to_stable(Kind kind, PyObject* argument);

/// Return the Python tensor of a kernel's output, which this takes; nullptr with an exception set
/// if Python has no memory.
PyObject* take_output(StableIValue output);

}  // namespace ascend_ops::direct_call
