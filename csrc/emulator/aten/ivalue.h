// Conversions between the emulator's values and torch's.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include "emulator/aten/value.h"

namespace c10 {
class OperatorHandle;
}

namespace ascend_emulator {

static_assert(static_cast<int>(at::kBFloat16) == static_cast<int>(DType::bfloat16));
static_assert(static_cast<int>(at::kFloat8_e4m3fn) == static_cast<int>(DType::float8_e4m3fn));
static_assert(static_cast<int>(at::kUInt64) == static_cast<int>(DType::uint64));
static_assert(static_cast<int>(at::ScalarType::Int4) == static_cast<int>(DType::int4));
static_assert(static_cast<int>(at::kFloat8_e8m0fnu) == static_cast<int>(DType::float8_e8m0));
static_assert(static_cast<int>(at::ScalarType::Float4_e2m1fn_x2) ==
              static_cast<int>(DType::float4_e2m1));

inline at::ScalarType scalar_type(DType dtype) { return static_cast<at::ScalarType>(dtype); }

inline at::Tensor torch_tensor(const Tensor& tensor) {
    return tensor.defined()
               ? at::Tensor(
                     c10::intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl>::reclaim_copy(
                         static_cast<at::TensorImpl*>(tensor.impl())))
               : at::Tensor();
}

inline Tensor own_tensor(at::Tensor tensor) {
    return tensor.defined() ? Tensor(tensor.unsafeReleaseTensorImpl()) : Tensor();
}

inline at::Scalar torch_scalar(const Scalar& scalar) {
    return std::visit(
        [](auto value) -> at::Scalar {
            if constexpr (std::is_same_v<decltype(value), std::complex<double>>) {
                return c10::complex<double>(value.real(), value.imag());
            } else {
                return value;
            }
        },
        scalar.value);
}

/// Whether a value may be given for an argument of this type.
bool fits(const Value& value, const c10::Type& type);

c10::IValue to_ivalue(const Value& value, const c10::Type& type);

/// Look up "mul.Tensor", the overload Tensor of aten::mul. Throws std::runtime_error if this torch
/// does not have it.
c10::OperatorHandle find_operator(const std::string& schema);

/// The tensors that an operator left on its stack, with lists of tensors flattened.
TensorList results_of(std::vector<c10::IValue>& stack);

}  // namespace ascend_emulator
