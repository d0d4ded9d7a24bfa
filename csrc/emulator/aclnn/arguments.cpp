// Keeps the arguments of phase 1 and hands them to a body in phase 2.
#include <algorithm>

#include "emulator/aclnn/operation.h"
#include "emulator/interface/status.h"

namespace ascend_emulator {

void Arguments::note(std::size_t index, const std::string& text) {
    if (problem_.text.empty()) {
        problem_ = {index, invalid_argument, text};
    }
}

template <class T>
bool Arguments::is_usable(const T* handle) {
    const std::string problem = why_unusable(handle);
    if (!problem.empty()) {
        note(values_.size(), ", argument " + std::to_string(values_.size()) + ": " + problem);
    }
    return problem.empty();
}

TensorDescriptionPtr Arguments::description_of(const aclTensor* tensor) {
    if (tensor == nullptr || !is_usable(tensor)) {
        return nullptr;
    }
    if (!tensor->problem.empty()) {
        note(values_.size(), " " + tensor->problem);
    }
    return tensor->description;
}

void Arguments::add(const aclTensor* tensor) { values_.emplace_back(description_of(tensor)); }

void Arguments::add_dynamic(aclTensor* tensor) {
    (void)description_of(tensor);
    values_.emplace_back(tensor);
}

void Arguments::add(const aclScalar* scalar) {
    if (scalar != nullptr && is_usable(scalar)) {
        values_.emplace_back(scalar->value);
    } else {
        values_.emplace_back();
    }
}

template <class Array>
void Arguments::add_array(const Array* array) {
    if (array != nullptr && is_usable(array)) {
        values_.emplace_back(array->values);
    } else {
        values_.emplace_back();
    }
}

void Arguments::add(const aclIntArray* array) { add_array(array); }
void Arguments::add(const aclFloatArray* array) { add_array(array); }
void Arguments::add(const aclBoolArray* array) { add_array(array); }

void Arguments::add(const aclTensorList* list) {
    if (list == nullptr || !is_usable(list)) {
        values_.emplace_back();
        return;
    }
    std::vector<TensorDescriptionPtr> descriptions;
    descriptions.reserve(list->members.size());
    for (const aclTensor* member : list->members) {
        descriptions.push_back(description_of(member));
    }
    values_.emplace_back(std::move(descriptions));
}

void Arguments::add(const aclScalarList* list) {
    if (list == nullptr || !is_usable(list)) {
        values_.emplace_back();
        return;
    }
    ScalarList scalars;
    for (const aclScalar* member : list->members) {
        if (!is_usable(member)) {
            break;
        }
        scalars.push_back(member->value);
    }
    values_.emplace_back(std::move(scalars));
}

void Arguments::add(const char* text) {
    values_.emplace_back(std::string(text == nullptr ? "" : text));
}

void Arguments::add(bool value) { values_.emplace_back(value); }
void Arguments::add(double value) { values_.emplace_back(value); }
void Arguments::add(std::int64_t value) { values_.emplace_back(value); }

void Arguments::add(aclDataType type) {
    if (type == ACL_DT_UNDEFINED) {
        values_.emplace_back();
    } else if (is_emulated(type)) {
        values_.emplace_back(dtype_of(type));
    } else {
        note(values_.size(),
             " must be a dtype that is emulated, got aclDataType " + std::to_string(type));
        values_.emplace_back();
    }
}

namespace {

bool is_empty(const TensorDescriptionPtr& tensor) {
    return tensor == nullptr ||
           std::find(tensor->sizes.begin(), tensor->sizes.end(), 0) != tensor->sizes.end();
}

/// Whether an argument that is not emulated has no effect.
bool has_no_effect(const Captured& captured, std::int64_t by_default) {
    if (const auto* tensor = std::get_if<TensorDescriptionPtr>(&captured)) {
        return is_empty(*tensor);
    }
    if (const auto* list = std::get_if<std::vector<TensorDescriptionPtr>>(&captured)) {
        return std::all_of(list->begin(), list->end(), is_empty);
    }
    if (const auto* values = std::get_if<IntList>(&captured)) {
        return std::all_of(values->begin(), values->end(),
                           [by_default](std::int64_t value) { return value == by_default; });
    }
    if (const auto* number = std::get_if<std::int64_t>(&captured)) {
        return *number == by_default;
    }
    if (const auto* number = std::get_if<double>(&captured)) {
        return *number == static_cast<double>(by_default);
    }
    if (const auto* flag = std::get_if<bool>(&captured)) {
        return *flag == (by_default != 0);
    }
    const auto* text = std::get_if<std::string>(&captured);
    return text != nullptr ? text->empty() : std::holds_alternative<std::monostate>(captured);
}

std::string describe(const Captured& captured) {
    if (const auto* tensor = std::get_if<TensorDescriptionPtr>(&captured)) {
        return "a tensor of shape " + text_of((*tensor)->sizes);
    }
    if (const auto* list = std::get_if<std::vector<TensorDescriptionPtr>>(&captured)) {
        return "a list of " + std::to_string(list->size()) + " tensors";
    }
    if (const auto* values = std::get_if<IntList>(&captured)) {
        return text_of(*values);
    }
    if (const auto* number = std::get_if<std::int64_t>(&captured)) {
        return std::to_string(*number);
    }
    if (const auto* number = std::get_if<double>(&captured)) {
        return std::to_string(*number);
    }
    if (const auto* flag = std::get_if<bool>(&captured)) {
        return *flag ? "true" : "false";
    }
    const auto* text = std::get_if<std::string>(&captured);
    return text != nullptr ? *text : "a value";
}

/// The value that an argument that is not emulated must have.
std::string wanted(const Captured& captured, std::int64_t by_default) {
    if (std::holds_alternative<std::int64_t>(captured) ||
        std::holds_alternative<double>(captured)) {
        return std::to_string(by_default);
    }
    if (std::holds_alternative<bool>(captured)) {
        return by_default != 0 ? "true" : "false";
    }
    return std::holds_alternative<std::string>(captured) ? "empty" : "null";
}

}  // namespace

void Arguments::refuse_unless(std::int64_t by_default) {
    const Captured& last = values_.back();
    if (!has_no_effect(last, by_default)) {
        note(values_.size() - 1,
             " must be " + wanted(last, by_default) + ", got " + describe(last) +
                 "; the emulated NPU does not implement this argument, which changes the result");
    }
}

bool is_null(const Captured& captured) {
    if (const auto* tensor = std::get_if<TensorDescriptionPtr>(&captured)) {
        return *tensor == nullptr;
    }
    const auto* handle = std::get_if<aclTensor*>(&captured);
    return handle != nullptr ? *handle == nullptr
                             : std::holds_alternative<std::monostate>(captured);
}

Tensor tensor_value(const Captured& captured) {
    const auto& description = std::get<TensorDescriptionPtr>(captured);
    return description == nullptr ? Tensor() : input_of(*description);
}

namespace {

Tensor output_value(const Captured& captured) {
    const auto& description = std::get<TensorDescriptionPtr>(captured);
    return description == nullptr ? Tensor() : tensor_of(*description);
}

TensorList tensors_value(const Captured& captured, Tensor (*read)(const TensorDescription&)) {
    TensorList tensors;
    const auto* descriptions = std::get_if<std::vector<TensorDescriptionPtr>>(&captured);
    if (descriptions == nullptr) {
        return tensors;
    }
    for (const auto& description : *descriptions) {
        tensors.push_back(description == nullptr ? Tensor() : read(*description));
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
    const bool is_written = kind == ParameterKind::output || kind == ParameterKind::in_out;
    if (std::holds_alternative<TensorDescriptionPtr>(captured)) {
        return is_written ? output_value(captured) : tensor_value(captured);
    }
    if (std::holds_alternative<std::vector<TensorDescriptionPtr>>(captured)) {
        return tensors_value(captured, is_written ? tensor_of : input_of);
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
    return {output_value(values_[index]), index};
}
template <>
InOut Arguments::get(std::size_t index) const {
    return {{output_value(values_[index]), index}};
}
template <>
TensorList Arguments::get(std::size_t index) const {
    return tensors_value(values_[index], input_of);
}
template <>
TensorDescriptionPtr Arguments::get(std::size_t index) const {
    return std::get<TensorDescriptionPtr>(values_[index]);
}
template <>
Outs Arguments::get(std::size_t index) const {
    return {tensors_value(values_[index], tensor_of)};
}
template <>
InOuts Arguments::get(std::size_t index) const {
    return {{tensors_value(values_[index], tensor_of)}};
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
