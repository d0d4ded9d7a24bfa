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
const SchemaCall& schema_call(const Operation& operation, const std::vector<Value>& inputs) {
    const SchemaCall* known = operation.call.load(std::memory_order_acquire);
    if (known != nullptr) {
        return *known;
    }
    auto made = std::make_unique<SchemaCall>(operation.name, operation.schema, inputs);
    if (operation.call.compare_exchange_strong(known, made.get())) {
        known = made.release();
    }
    return *known;
}

const SchemaCall& schema_call(const Operation& operation, const Arguments& arguments) {
    const SchemaCall* known = operation.call.load(std::memory_order_acquire);
    return known != nullptr ? *known
                            : schema_call(operation, operands_of(operation, arguments).inputs);
}

}  // namespace

bool schema_is_pointwise(const Operation& operation, const Arguments& arguments) {
    return schema_call(operation, arguments).is_pointwise();
}

void run_schema(const Operation& operation, Arguments& arguments) {
    const Operands operands = operands_of(operation, arguments);
    const TensorList results = schema_call(operation, operands.inputs).run(operands.inputs);
    for (std::size_t i = 0; i < std::min(operands.outputs.size(), results.size()); ++i) {
        assign_output(operands.outputs[i].parameter, operands.outputs[i].tensor, results[i]);
    }
}

}  // namespace ascend_emulator
