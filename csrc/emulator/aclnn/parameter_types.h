// The types of an aclnn function's parameters, besides Tensor, Scalar and numbers.
#pragma once

#include <optional>

#include "emulator/aclnn/handles.h"

namespace ascend_emulator {

/// An output. Assigning converts to its dtype, and does nothing if the output is null.
struct Out {
    Tensor tensor;
    std::size_t parameter = WrongShape::unknown_parameter;
    void operator=(const Tensor& value) const { assign_output(parameter, tensor, value); }
    /// Assign a value that broadcasts to the output's shape.
    void fill(const Tensor& value) const {
        if (defined()) {
            *this = value.expand(tensor.sizes());
        }
    }
    bool defined() const { return tensor.defined(); }
};
/// Read and written.
struct InOut : Out {
    using Out::operator=;
};
struct Outs {
    TensorList tensors;
};
/// A list whose members are read and written.
struct InOuts : Outs {};

/// An output whose shape is known only after the run. The caller synchronises and then calls
/// aclGetViewShape, so the handle stays alive.
struct DynamicOut {
    aclTensor* handle;
    void operator=(const Tensor& value) const;
};

/// Dimensions; an empty array means all of them.
struct Dims {
    std::optional<IntList> values;
    Value value() const { return values ? Value(*values) : Value(); }
};
/// An array that may be null.
struct OptionalInts : Dims {};
/// A scalar that may be null.
struct OptionalScalar {
    std::optional<Scalar> scalar;
};
/// A tensor, a list or an output that may be null.
template <class T>
struct Optional : T {
    using Given = T;
    using T::operator=;
};
/// A parameter that cannot change the result here: a hint, or something that is computed again.
template <class T>
struct Unused {};
/// A parameter that is not emulated: null, no elements, or numbers that all are `by_default`.
template <class T, std::int64_t by_default = 0>
struct Refused {};

template <class T>
constexpr bool is_unused = false;
template <class T>
constexpr bool is_unused<Unused<T>> = true;
template <class T, std::int64_t by_default>
constexpr bool is_unused<Refused<T, by_default>> = true;

template <class T>
constexpr bool is_refused = false;
template <class T, std::int64_t by_default>
constexpr bool is_refused<Refused<T, by_default>> = true;

template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<Optional<T>> = true;

using Int = std::int64_t;
/// A number as an index of a C++ container.
inline std::size_t as_index(Int index) { return static_cast<std::size_t>(index); }
using Int32 = std::int32_t;
using UInt = std::uint64_t;
using String = std::string;
using Ints = IntList;
using Bools = BoolList;
using Tensors = TensorList;
using Scalars = ScalarList;
/// How matmuls may round; ATen's are exact in fp32.
using CubeMathType = Unused<std::int8_t>;

}  // namespace ascend_emulator
