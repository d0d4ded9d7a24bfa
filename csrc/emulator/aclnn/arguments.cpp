// Keeps the arguments of phase 1 and hands them to a body in phase 2.
#include "emulator/aclnn/operation.h"
#include "emulator/interface/status.h"

namespace ascend_emulator {

template <class Handle>
bool Arguments::is_usable(const Handle* handle, HandleKind kind) {
    const std::string problem = why_unusable(handle, kind);
    if (!problem.empty() && problem_.empty()) {
        problem_ = "argument " + std::to_string(values_.size()) + ": " + problem;
    }
    return problem.empty();
}

void Arguments::add(const aclTensor* tensor) {
    if (tensor != nullptr && is_usable(tensor, HandleKind::tensor)) {
        values_.emplace_back(tensor->description);
    } else {
        values_.emplace_back(TensorDescriptionPtr());
    }
}

void Arguments::add_dynamic(aclTensor* tensor) {
    is_usable(tensor, HandleKind::tensor);
    values_.emplace_back(tensor);
}

void Arguments::add(const aclScalar* scalar) {
    if (scalar != nullptr && is_usable(scalar, HandleKind::scalar)) {
        values_.emplace_back(scalar->value);
    } else {
        values_.emplace_back();
    }
}

void Arguments::add(const aclIntArray* array) {
    if (array != nullptr && is_usable(array, HandleKind::array)) {
        values_.emplace_back(array->values);
    } else {
        values_.emplace_back();
    }
}

void Arguments::add(const aclFloatArray* array) {
    if (array != nullptr && is_usable(array, HandleKind::array)) {
        values_.emplace_back(array->values);
    } else {
        values_.emplace_back();
    }
}

void Arguments::add(const aclBoolArray* array) {
    if (array != nullptr && is_usable(array, HandleKind::array)) {
        values_.emplace_back(array->values);
    } else {
        values_.emplace_back();
    }
}

void Arguments::add(const aclTensorList* list) {
    std::vector<TensorDescriptionPtr> descriptions;
    if (list != nullptr && is_usable(list, HandleKind::list)) {
        for (const aclTensor* member : list->members) {
            const bool given = member != nullptr && is_usable(member, HandleKind::tensor);
            descriptions.push_back(given ? member->description : nullptr);
        }
    }
    values_.emplace_back(std::move(descriptions));
}

void Arguments::add(const aclScalarList* list) {
    ScalarList scalars;
    if (list != nullptr && is_usable(list, HandleKind::list)) {
        for (const aclScalar* member : list->members) {
            scalars.push_back(member->value);
        }
    }
    values_.emplace_back(std::move(scalars));
}

void Arguments::add(const char* text) {
    values_.emplace_back(std::string(text == nullptr ? "" : text));
}

void Arguments::add(aclDataType type) {
    if (type == ACL_DT_UNDEFINED) {
        values_.emplace_back();
        return;
    }
    values_.emplace_back(dtype_of(type));
}

Tensor tensor_value(const Captured& captured) {
    const auto& description = std::get<TensorDescriptionPtr>(captured);
    return description == nullptr ? Tensor() : tensor_of(*description);
}

namespace {

TensorList tensors_value(const Captured& captured) {
    TensorList tensors;
    for (const auto& description : std::get<std::vector<TensorDescriptionPtr>>(captured)) {
        tensors.push_back(description == nullptr ? Tensor() : tensor_of(*description));
    }
    return tensors;
}

template <class T>
T value_or_empty(const Captured& captured) {
    const auto* value = std::get_if<T>(&captured);
    return value == nullptr ? T() : *value;
}

std::optional<IntList> dims_value(const Captured& captured, bool empty_is_none) {
    const auto* values = std::get_if<IntList>(&captured);
    const bool none = values == nullptr || (empty_is_none && values->empty());
    return none ? std::nullopt : std::optional<IntList>(*values);
}

}  // namespace

Value input_value(const Captured& captured, ParameterKind kind) {
    if (std::holds_alternative<TensorDescriptionPtr>(captured)) {
        return tensor_value(captured);
    }
    if (std::holds_alternative<std::vector<TensorDescriptionPtr>>(captured)) {
        return tensors_value(captured);
    }
    if (kind == ParameterKind::dims) {
        const auto dims = dims_value(captured, true);
        return dims ? Value(*dims) : Value();
    }
    return std::visit(
        [](const auto& value) -> Value {
            using T = std::decay_t<decltype(value)>;
            if constexpr (std::is_constructible_v<Value, T> && !std::is_pointer_v<T>) {
                return value;
            } else {
                return {};
            }
        },
        captured);
}

template <>
Tensor Arguments::get(std::size_t index) const {
    return tensor_value(values_[index]);
}
template <>
Out Arguments::get(std::size_t index) const {
    return {tensor_value(values_[index])};
}
template <>
InOut Arguments::get(std::size_t index) const {
    return {{tensor_value(values_[index])}};
}
template <>
TensorList Arguments::get(std::size_t index) const {
    return tensors_value(values_[index]);
}
template <>
Outs Arguments::get(std::size_t index) const {
    return {tensors_value(values_[index])};
}
template <>
InOuts Arguments::get(std::size_t index) const {
    return {{tensors_value(values_[index])}};
}
template <>
DynamicOut Arguments::get(std::size_t index) const {
    return {std::get<aclTensor*>(values_[index])};
}
template <>
Scalar Arguments::get(std::size_t index) const {
    return value_or_empty<Scalar>(values_[index]);
}
template <>
OptionalScalar Arguments::get(std::size_t index) const {
    const auto* scalar = std::get_if<Scalar>(&values_[index]);
    return {scalar == nullptr ? std::nullopt : std::optional<Scalar>(*scalar)};
}
template <>
IntList Arguments::get(std::size_t index) const {
    return value_or_empty<IntList>(values_[index]);
}
template <>
Dims Arguments::get(std::size_t index) const {
    return {dims_value(values_[index], true)};
}
template <>
OptionalInts Arguments::get(std::size_t index) const {
    return {{dims_value(values_[index], false)}};
}
template <>
DoubleList Arguments::get(std::size_t index) const {
    return value_or_empty<DoubleList>(values_[index]);
}
template <>
BoolList Arguments::get(std::size_t index) const {
    return value_or_empty<BoolList>(values_[index]);
}
template <>
ScalarList Arguments::get(std::size_t index) const {
    return value_or_empty<ScalarList>(values_[index]);
}
template <>
std::string Arguments::get(std::size_t index) const {
    return value_or_empty<std::string>(values_[index]);
}
template <>
DType Arguments::get(std::size_t index) const {
    const auto* dtype = std::get_if<DType>(&values_[index]);
    return dtype == nullptr ? DType::none : *dtype;
}
template <>
bool Arguments::get(std::size_t index) const {
    return std::get<bool>(values_[index]);
}
template <>
double Arguments::get(std::size_t index) const {
    return std::get<double>(values_[index]);
}
template <>
float Arguments::get(std::size_t index) const {
    return static_cast<float>(std::get<double>(values_[index]));
}
template <>
std::int64_t Arguments::get(std::size_t index) const {
    return std::get<std::int64_t>(values_[index]);
}
template <>
std::uint64_t Arguments::get(std::size_t index) const {
    return static_cast<std::uint64_t>(std::get<std::int64_t>(values_[index]));
}
template <>
std::int32_t Arguments::get(std::size_t index) const {
    return static_cast<std::int32_t>(std::get<std::int64_t>(values_[index]));
}
template <>
std::int8_t Arguments::get(std::size_t index) const {
    return static_cast<std::int8_t>(std::get<std::int64_t>(values_[index]));
}
}  // namespace ascend_emulator
