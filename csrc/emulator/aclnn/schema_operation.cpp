#include "emulator/aclnn/schema_operation.h"

#include <algorithm>
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

}  // namespace

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
