#include "emulator/aten/ivalue.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <stdexcept>

namespace ascend_emulator {

using Kind = c10::TypeKind;

static bool is_scalar(const Value& value) {
    return std::holds_alternative<Scalar>(value) || std::holds_alternative<double>(value) ||
           std::holds_alternative<std::int64_t>(value) || std::holds_alternative<bool>(value);
}

static at::Scalar scalar_of(const Value& value) {
    if (const auto* scalar = std::get_if<Scalar>(&value)) {
        return torch_scalar(*scalar);
    }
    if (const auto* number = std::get_if<double>(&value)) {
        return *number;
    }
    if (const auto* number = std::get_if<bool>(&value)) {
        return *number;
    }
    return std::get<std::int64_t>(value);
}

/// Whether a value is a list that may be given for a list of `element`.
static bool fits_list(const Value& value, const c10::Type& element) {
    switch (element.kind()) {
        case Kind::IntType:
        case Kind::SymIntType:
            return std::holds_alternative<IntList>(value);
        case Kind::FloatType:
            return std::holds_alternative<DoubleList>(value);
        case Kind::BoolType:
            return std::holds_alternative<BoolList>(value);
        case Kind::NumberType:
            return std::holds_alternative<ScalarList>(value);
        case Kind::TensorType:
        case Kind::OptionalType:
            return std::holds_alternative<TensorList>(value);
        default:
            return false;
    }
}

bool fits(const Value& value, const c10::Type& type) {
    switch (type.kind()) {
        case Kind::OptionalType:
            return std::holds_alternative<std::monostate>(value) ||
                   fits(value, *type.castRaw<c10::OptionalType>()->getElementType());
        case Kind::TensorType:
            return std::holds_alternative<Tensor>(value) || is_scalar(value);
        case Kind::NumberType:
            return is_scalar(value);
        case Kind::IntType:
        case Kind::SymIntType:
        case Kind::BoolType:
            return std::holds_alternative<std::int64_t>(value) ||
                   std::holds_alternative<bool>(value) || std::holds_alternative<DType>(value);
        case Kind::FloatType:
            return std::holds_alternative<double>(value) ||
                   std::holds_alternative<std::int64_t>(value);
        case Kind::StringType:
            return std::holds_alternative<std::string>(value);
        case Kind::GeneratorType:
            return std::holds_alternative<Seed>(value);
        case Kind::ListType:
            return std::holds_alternative<std::monostate>(value) ||
                   fits_list(value, *type.castRaw<c10::ListType>()->getElementType());
        default:
            return false;
    }
}

static c10::IValue list_ivalue(const Value& value, const c10::Type& element) {
    if (std::holds_alternative<std::monostate>(value)) {
        return c10::List<std::int64_t>();  // an empty list of dimensions means all of them
    }
    if (const auto* ints = std::get_if<IntList>(&value)) {
        return c10::IValue(*ints);
    }
    if (const auto* doubles = std::get_if<DoubleList>(&value)) {
        return c10::IValue(*doubles);
    }
    if (const auto* bools = std::get_if<BoolList>(&value)) {
        c10::List<bool> list;
        for (const bool flag : *bools) {
            list.push_back(flag);
        }
        return list;
    }
    if (const auto* scalars = std::get_if<ScalarList>(&value)) {
        c10::List<at::Scalar> list;
        for (const Scalar& scalar : *scalars) {
            list.push_back(torch_scalar(scalar));
        }
        return list;
    }
    const auto& tensors = std::get<TensorList>(value);
    if (element.kind() == Kind::OptionalType) {
        c10::List<std::optional<at::Tensor>> list;
        for (const Tensor& tensor : tensors) {
            const at::Tensor converted = torch_tensor(tensor);
            const bool given = converted.defined() && converted.numel() != 0;
            list.push_back(given ? std::optional<at::Tensor>(converted) : std::nullopt);
        }
        return list;
    }
    c10::List<at::Tensor> list;
    for (const Tensor& tensor : tensors) {
        list.push_back(torch_tensor(tensor));
    }
    return list;
}

static at::Tensor number_tensor(const at::Scalar& scalar) {
    static const c10::OperatorHandle make = find_operator("scalar_tensor");
    std::vector<c10::IValue> stack{scalar, c10::IValue(), c10::IValue(), c10::IValue(),
                                   c10::IValue()};
    if (scalar.isIntegral(false)) {
        stack[1] = static_cast<std::int64_t>(at::kLong);
    } else if (scalar.isBoolean()) {
        stack[1] = static_cast<std::int64_t>(at::kBool);
    } else if (scalar.isComplex()) {
        stack[1] = static_cast<std::int64_t>(at::kComplexDouble);
    } else {
        stack[1] = static_cast<std::int64_t>(at::kDouble);
    }
    make.callBoxed(&stack);
    at::Tensor made = stack[0].toTensor();
    made.unsafeGetTensorImpl()->set_wrapped_number(true);
    return made;
}

static std::int64_t int_of(const Value& value) {
    if (const auto* dtype = std::get_if<DType>(&value)) {
        return static_cast<std::int64_t>(*dtype);
    }
    if (const auto* flag = std::get_if<bool>(&value)) {
        return *flag ? 1 : 0;
    }
    return std::get<std::int64_t>(value);
}

c10::IValue to_ivalue(const Value& value, const c10::Type& type) {
    switch (type.kind()) {
        case Kind::OptionalType: {
            const auto* tensor = std::get_if<Tensor>(&value);
            const bool none = std::holds_alternative<std::monostate>(value) ||
                              (tensor != nullptr && !tensor->defined());
            return none ? c10::IValue()
                        : to_ivalue(value, *type.castRaw<c10::OptionalType>()->getElementType());
        }
        case Kind::TensorType:
            return is_scalar(value) ? number_tensor(scalar_of(value))
                                    : torch_tensor(std::get<Tensor>(value));
        case Kind::NumberType:
            return scalar_of(value);
        case Kind::IntType:
        case Kind::SymIntType:
            return int_of(value);
        case Kind::BoolType:
            return int_of(value) != 0;
        case Kind::FloatType:
            return scalar_of(value).toDouble();
        case Kind::StringType:
            return std::get<std::string>(value);
        case Kind::GeneratorType:
            return at::make_generator<at::CPUGeneratorImpl>(std::get<Seed>(value).value);
        default:
            return list_ivalue(value, *type.castRaw<c10::ListType>()->getElementType());
    }
}

TensorList results_of(std::vector<c10::IValue>& stack) {
    TensorList results;
    for (c10::IValue& result : stack) {
        if (result.isTensor()) {
            results.push_back(own_tensor(std::move(result).toTensor()));
        } else if (result.isTensorList()) {
            for (const at::Tensor& tensor : result.toTensorVector()) {
                results.push_back(own_tensor(tensor));
            }
        } else if (result.isScalar()) {
            results.push_back(own_tensor(number_tensor(result.toScalar())));
        }
    }
    return results;
}

}  // namespace ascend_emulator
