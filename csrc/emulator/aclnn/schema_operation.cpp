#include "emulator/aclnn/schema_operation.h"

#include <algorithm>
#include <functional>
#include <future>
#include <memory>

namespace ascend_emulator {
namespace {

struct Output {
    std::size_t parameter;
    Tensor tensor;
};

struct Operands {
    std::vector<Value> inputs;
    std::vector<Output> outputs;
};

Operands operands_of(const Operation& operation, const Arguments& arguments) {
    Operands operands;
    for (std::size_t i = 0; i < operation.count; ++i) {
        const ParameterKind kind = operation.kinds[i];
        if (kind == ParameterKind::unused) {
            continue;
        }
        Value value = input_value(arguments.values()[i], kind);
        if (kind == ParameterKind::output || kind == ParameterKind::in_out) {
            if (auto* list = std::get_if<TensorList>(&value)) {
                for (const Tensor& tensor : *list) {
                    operands.outputs.push_back({i, tensor});
                }
            } else {
                operands.outputs.push_back({i, std::get<Tensor>(value)});
            }
        }
        if (kind != ParameterKind::output) {
            operands.inputs.push_back(std::move(value));
        }
    }
    return operands;
}

/// Created when the operation is first used, and never destroyed: workers outlive main.
const MatchedSchema& matched(const Operation& operation, const std::vector<Value>& inputs) {
    const MatchedSchema* known = operation.matched.load(std::memory_order_acquire);
    if (known != nullptr) {
        return *known;
    }
    auto made = std::make_unique<MatchedSchema>(operation, inputs);
    if (operation.matched.compare_exchange_strong(known, made.get())) {
        known = made.release();
    }
    return *known;
}

/// How far promotion of dtypes reaches: bool, integers, floating-point and complex numbers.
int category_of(DType dtype) {
    switch (dtype) {
        case DType::boolean:
            return 0;
        case DType::complex32:
        case DType::complex64:
        case DType::complex128:
            return 3;
        default:
            return is_integral(dtype) ? 1 : 2;
    }
}

int category_of(const Captured& captured) {
    if (const auto* tensor = std::get_if<TensorDescriptionPtr>(&captured)) {
        return *tensor == nullptr ? 0 : category_of((*tensor)->dtype());
    }
    const auto* scalar = std::get_if<Scalar>(&captured);
    return scalar == nullptr ? 0 : static_cast<int>(scalar->value.index());
}

/// Whether a row changes its first input in place, and another input may not fit into it.
bool needs_a_cast(const Operation& operation, const Arguments& arguments) {
    if (operation.count == 0 || operation.kinds[0] != ParameterKind::in_out ||
        operation.parameters != nullptr) {
        return false;
    }
    const std::vector<Captured>& values = arguments.values();
    const int own = category_of(values.front());
    return std::any_of(values.begin() + 1, values.end(),
                       [&](const Captured& value) { return category_of(value) > own; });
}

/// Run a row on tensors without elements; return ATen's message if it refuses their dtypes.
std::string why_refused_without_elements(const Operation& operation, const Arguments& arguments) {
    Operands operands = operands_of(operation, arguments);
    for (Value& value : operands.inputs) {
        if (auto* tensor = std::get_if<Tensor>(&value); tensor != nullptr && tensor->defined()) {
            *tensor = full(tensor->dim() == 0 ? IntList{} : IntList{0}, Scalar{std::int64_t{1}},
                           tensor->dtype());
        }
    }
    try {
        (void)matched(operation, operands.inputs).call.run(operands.inputs);
    } catch (const std::exception& error) {
        const std::string message = error.what();
        return message.substr(0, message.find('\n'));  // without ATen's stack
    }
    return "";
}

}  // namespace

std::string why_dtypes_do_not_fit(const Operation& operation, const Arguments& arguments) {
    if (!needs_a_cast(operation, arguments)) {
        return "";
    }
    // ATen is called without autograd, which stays off in the thread: the caller's needs it.
    return std::async(std::launch::async, why_refused_without_elements, std::cref(operation),
                      std::cref(arguments))
        .get();
}

MatchedSchema::MatchedSchema(const Operation& operation, const std::vector<Value>& inputs)
    : call(operation.name, operation.schema, inputs),
      is_pointwise(call.is_pointwise() || is_pointwise_without_tag(operation.schema)),
      shape_rule(shape_rule_of(operation.schema)) {}

const MatchedSchema& matched_schema(const Operation& operation, const Arguments& arguments) {
    const MatchedSchema* known = operation.matched.load(std::memory_order_acquire);
    return known != nullptr ? *known : matched(operation, operands_of(operation, arguments).inputs);
}

void run_schema(const Operation& operation, const Arguments& arguments) {
    const Operands operands = operands_of(operation, arguments);
    const TensorList results = matched(operation, operands.inputs).call.run(operands.inputs);
    for (std::size_t i = 0; i < std::min(operands.outputs.size(), results.size()); ++i) {
        assign_output(operands.outputs[i].parameter, operands.outputs[i].tensor, results[i]);
    }
}

}  // namespace ascend_emulator
