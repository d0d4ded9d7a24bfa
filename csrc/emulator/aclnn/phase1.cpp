#include "emulator/aclnn/phase1.h"

#include <algorithm>
#include <stdexcept>

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
        if (operation.required[i] && is_null(arguments.values()[i]) && !may_be_null(operation, i)) {
            return {i, null_argument, " must not be null"};
        }
    }
    return {};
}

/// The first output must have elements; another one without is one that the caller does not want.
Problem why_of_another_shape(const Operation& operation, const Arguments& arguments,
                             const IntList& shape) {
    bool is_first = true;
    for (std::size_t i = 0; i < operation.count; ++i) {
        const IntList* sizes = sizes_of(arguments.values()[i]);
        if (sizes == nullptr || !is_output(operation.kinds[i])) {
            continue;
        }
        const bool is_wanted =
            is_first || std::find(sizes->begin(), sizes->end(), 0) == sizes->end();
        is_first = false;
        if (is_wanted && *sizes != shape && !same_but_for_ones(*sizes, shape)) {
            return {i, invalid_argument,
                    " must have shape " + text_of(shape) + ", got " + text_of(*sizes)};
        }
    }
    return {};
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
    return first == nullptr ? Problem() : why_of_another_shape(operation, arguments, *first);
}

/// Returns why a device refuses the arguments, or why the emulator does not implement this call.
Problem why_not_accepted(const Operation& operation, const Arguments& arguments) {
    try {
        const Rehearsal rehearsal;
        operation.run(operation, arguments);
    } catch (const NotEmulated& error) {
        return {Problem::no_parameter, invalid_argument, error.what()};
    } catch (const std::invalid_argument& error) {
        return {Problem::no_parameter, invalid_argument, error.what()};
    } catch (const Rehearsal::Computes&) {
        return {};  // it has accepted the arguments
    } catch (const std::exception&) {
        return {};  // as on a device, the run reports it at the next synchronization
    }
    return {};
}

}  // namespace

Problem why_refused(const Operation& operation, const Arguments& arguments) {
    if (!arguments.problem().text.empty()) {
        return arguments.problem();
    }
    Problem problem = why_null(operation, arguments);
    if (problem.text.empty() && operation.is_checked) {
        return why_not_accepted(operation, arguments);
    }
    if (!problem.text.empty() || operation.schema == nullptr) {
        return problem;
    }
    const MatchedSchema& schema = matched_schema(operation, arguments);
    if (schema.is_pointwise) {
        problem = why_not_broadcast(operation, arguments);
        return problem.text.empty() ? Problem{Problem::no_parameter, invalid_argument,
                                              why_dtypes_do_not_fit(operation, arguments)}
                                    : problem;
    }
    const auto shape =
        schema.shape_rule == nullptr ? std::nullopt : schema.shape_rule(operation, arguments);
    return shape ? why_of_another_shape(operation, arguments, *shape) : Problem();
}

bool may_be_null(const Operation& operation, std::size_t index) {
    if (!operation.required[index]) {
        return true;
    }
    return operation.schema != nullptr && is_schema_input(operation.kinds[index]) &&
           argument_is_optional(operation.schema, schema_index(operation, index));
}

std::string parameter_name(const Operation& operation, std::size_t index) {
    if (operation.parameters == nullptr) {
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
