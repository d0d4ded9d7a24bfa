#include "emulator/aclnn/phase1.h"

#include <algorithm>

#include "emulator/aclnn/schema_operation.h"
#include "emulator/interface/status.h"

namespace ascend_emulator {
namespace {

bool is_output(ParameterKind kind) {
    return kind == ParameterKind::output || kind == ParameterKind::in_out;
}

/// Whether the parameter goes to an argument of the schema.
bool is_schema_input(ParameterKind kind) {
    return kind != ParameterKind::output && kind != ParameterKind::unused;
}

/// The index among the schema's arguments, if none of them takes its default.
std::size_t schema_index(const Operation& operation, std::size_t index) {
    return static_cast<std::size_t>(
        std::count_if(operation.kinds, operation.kinds + index, is_schema_input));
}

Problem why_null(const Operation& operation, const Arguments& arguments) {
    for (std::size_t i = 0; i < operation.count; ++i) {
        if (!operation.required[i] || !is_null(arguments.values()[i])) {
            continue;
        }
        const bool may_be_null = operation.schema != nullptr &&
                                 is_schema_input(operation.kinds[i]) &&
                                 argument_is_optional(operation.schema, schema_index(operation, i));
        if (!may_be_null) {
            return {i, null_argument, " must not be null"};
        }
    }
    return {};
}

const IntList* sizes_of(const Captured& captured) {
    const auto* tensor = std::get_if<TensorDescriptionPtr>(&captured);
    return tensor == nullptr || *tensor == nullptr ? nullptr : &(*tensor)->sizes;
}

/// Broadcast `sizes` into `shape`; false if they do not fit.
bool broadcast(const IntList& sizes, IntList* shape) {
    if (sizes.size() > shape->size()) {
        shape->insert(shape->begin(), sizes.size() - shape->size(), 1);
    }
    const std::size_t first = shape->size() - sizes.size();
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        std::int64_t& size = (*shape)[first + i];
        if (size == 1) {
            size = sizes[i];
        } else if (sizes[i] != 1 && sizes[i] != size) {
            return false;
        }
    }
    return true;
}

Problem why_not_broadcast(const Operation& operation, const Arguments& arguments) {
    const IntList* first = nullptr;
    IntList wider;  // once two shapes differ
    for (std::size_t i = 0; i < operation.count; ++i) {
        const IntList* sizes = sizes_of(arguments.values()[i]);
        if (sizes == nullptr || !is_schema_input(operation.kinds[i])) {
            continue;
        }
        if (first == nullptr) {
            first = sizes;
        } else if (*sizes != *first) {
            if (first != &wider) {
                wider = *first;
                first = &wider;
            }
            if (!broadcast(*sizes, &wider)) {
                return {i, invalid_argument,
                        " must have a shape that broadcasts with " + text_of(wider) + ", got " +
                            text_of(*sizes)};
            }
        }
    }
    for (std::size_t i = 0; i < operation.count && first != nullptr; ++i) {
        const IntList* sizes = sizes_of(arguments.values()[i]);
        if (sizes != nullptr && is_output(operation.kinds[i]) &&
            !same_but_for_ones(*sizes, *first)) {
            return {i, invalid_argument,
                    " must have shape " + text_of(*first) + ", got " + text_of(*sizes)};
        }
    }
    return {};
}

}  // namespace

Problem why_refused(const Operation& operation, const Arguments& arguments) {
    if (!arguments.problem().text.empty()) {
        return arguments.problem();
    }
    Problem problem = why_null(operation, arguments);
    if (problem.text.empty() && operation.schema != nullptr &&
        schema_is_pointwise(operation, arguments)) {
        problem = why_not_broadcast(operation, arguments);
    }
    return problem;
}

std::string parameter_name(const Operation& operation, std::size_t index) {
    if (operation.schema != nullptr) {
        const std::string name =
            is_schema_input(operation.kinds[index])
                ? argument_name(operation.schema, schema_index(operation, index))
                : "out";
        return name.empty() ? "argument " + std::to_string(index) : name;
    }
    const char* begin = operation.parameters;  // "Tensor x, std::int64_t dim, Out out"
    const char* end = begin;
    int depth = 0;
    for (std::size_t skipped = 0; *end != '\0'; ++end) {
        depth += *end == '<' || *end == '(' ? 1 : *end == '>' || *end == ')' ? -1 : 0;
        if (*end == ',' && depth == 0) {
            if (skipped++ == index) {
                break;
            }
            begin = end + 1;
        }
    }
    const std::string text(begin, end);
    const std::size_t space = text.find_last_of(" >");
    return space == std::string::npos || space + 1 == text.size()
               ? "argument " + std::to_string(index)
               : text.substr(space + 1);
}

}  // namespace ascend_emulator
