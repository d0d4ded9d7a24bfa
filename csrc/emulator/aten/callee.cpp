#include "emulator/aten/callee.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace ascend_emulator {
namespace {

/// Operators that only move or compare elements. A copy in fp32 would change nothing, except for a
/// scalar, which is compared in the dtype of the tensor. `uniform_` must not round up to its limit.
constexpr std::string_view exact_operators[] = {
    "_chunk_cat",
    "cat",
    "constant_pad_nd",
    "embedding",
    "eq",
    "fill",
    "flip",
    "gather",
    "ge",
    "gt",
    "index",
    "index_copy",
    "index_fill",
    "index_select",
    "isfinite",
    "isneginf",
    "isposinf",
    "le",
    "lt",
    "masked_fill",
    "masked_scatter",
    "masked_select",
    "ne",
    "nonzero",
    "repeat",
    "repeat_interleave",
    "roll",
    "scatter.src",
    "stack",
    "take",
    "tril",
    "triu",
    "uniform",
    "where",
    "zero",
};

bool is_listed(std::string_view name) {
    return std::find(std::begin(exact_operators), std::end(exact_operators), name) !=
           std::end(exact_operators);
}

/// Whether the operator returns a view of an argument.
bool is_view(const c10::FunctionSchema& schema) {
    return std::any_of(schema.returns().begin(), schema.returns().end(), [](const auto& result) {
        return result.alias_info() != nullptr && !result.alias_info()->isWrite();
    });
}

bool is_exact(const c10::FunctionSchema& schema) {
    std::string name = schema.name().substr(schema.name().rfind(':') + 1);
    if (name.size() > 1 && name.back() == '_') {
        name.pop_back();
    }
    return is_listed(name) || is_listed(name + "." + schema.overload_name()) || is_view(schema);
}

bool is_dtype(const c10::Type& type) {
    const auto* optional = type.castRaw<c10::OptionalType>();
    return (optional == nullptr ? type : *optional->getElementType()).kind() ==
           c10::TypeKind::ScalarTypeType;
}

bool is_half(at::ScalarType type) {
    return type == at::kHalf || type == at::kBFloat16 || type == at::kComplexHalf;
}

bool is_half(const Tensor& tensor) {
    return tensor.defined() && is_half(torch_tensor(tensor).scalar_type());
}

at::ScalarType wide(at::ScalarType type) {
    return type == at::kComplexHalf ? at::kComplexFloat : at::kFloat;
}

at::Tensor wide(const at::Tensor& tensor) {
    return tensor.defined() && is_half(tensor.scalar_type()) ? tensor.to(wide(tensor.scalar_type()))
                                                             : tensor;
}

}  // namespace

Callee::Callee(c10::OperatorHandle handle)
    : op(std::move(handle)), is_exact_(is_exact(op.schema())) {
    for (const c10::Argument& argument : op.schema().arguments()) {
        const c10::AliasInfo* alias = argument.alias_info();
        arguments_.push_back({is_dtype(*argument.real_type()),
                              argument.name() == "index" || argument.name() == "indices",
                              alias != nullptr && alias->isWrite()});
    }
}

bool Callee::widens(const std::vector<const Value*>& given) const {
    return !is_exact_ && std::any_of(given.begin(), given.end(), [](const Value* value) {
        if (value == nullptr) {
            return false;
        }
        if (const auto* tensor = std::get_if<Tensor>(value)) {
            return is_half(*tensor);
        }
        const auto* list = std::get_if<TensorList>(value);
        return list != nullptr && std::any_of(list->begin(), list->end(),
                                              [](const Tensor& each) { return is_half(each); });
    });
}

void Callee::widen(const Argument& argument, c10::IValue* value,
                   std::vector<Written>* written) const {
    const auto widened = [&](const at::Tensor& tensor) {
        at::Tensor copy = wide(tensor);
        if (argument.is_written && !copy.is_same(tensor)) {
            written->push_back({tensor, copy});
        }
        return copy;
    };
    if (argument.is_dtype && value->isInt()) {
        const auto type = static_cast<at::ScalarType>(value->toInt());
        *value = static_cast<std::int64_t>(is_half(type) ? wide(type) : type);
    } else if (value->isTensor()) {
        *value = widened(value->toTensor());
    } else if (value->isTensorList()) {
        c10::List<at::Tensor> list;
        for (const at::Tensor& tensor : value->toTensorVector()) {
            list.push_back(widened(tensor));
        }
        *value = list;
    }
}

TensorList Callee::run(const std::vector<const Value*>& given) const {
    const auto& wanted = op.schema().arguments();
    const bool is_widened = widens(given);
    std::vector<Written> written;
    std::vector<c10::IValue> stack;
    stack.reserve(wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (given[i] == nullptr) {
            stack.push_back(wanted[i].default_value().value_or(c10::IValue()));
            continue;
        }
        stack.push_back(to_ivalue(*given[i], *wanted[i].type()));
        if (arguments_[i].is_index && stack.back().isTensor() &&
            stack.back().toTensor().scalar_type() == at::kInt) {
            stack.back() = stack.back().toTensor().to(at::kLong);
        }
        if (is_widened) {
            widen(arguments_[i], &stack.back(), &written);
        }
    }
    op.callBoxed(&stack);
    for (const Written& each : written) {
        each.original.copy_(each.wide);
        for (c10::IValue& result : stack) {
            if (result.isTensor() && result.toTensor().is_same(each.wide)) {
                result = each.original;
            }
        }
    }
    return results_of(stack);
}

}  // namespace ascend_emulator
