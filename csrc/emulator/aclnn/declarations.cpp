// Describes all emulated aclnn functions, for the headers of the emulated CANN and the list of what
// is emulated.
#include <string>

#include "emulator/aclnn/operation.h"

// The linker defines these at the ends of the section that ACLNN_EXPORT fills.
// NOLINTBEGIN(bugprone-reserved-identifier): the linker chooses the names
extern "C" {
extern const ascend_emulator::Operation* const __start_aclnn_operations[];
extern const ascend_emulator::Operation* const __stop_aclnn_operations[];
}
// NOLINTEND(bugprone-reserved-identifier)

namespace ascend_emulator {
namespace {

const char* role_of(const Operation& operation, std::size_t index) {
    if (operation.declarations[index].is_refused) {
        return "refused";
    }
    switch (operation.kinds[index]) {
        case ParameterKind::output:
            return "output";
        case ParameterKind::in_out:
            return "in_out";
        case ParameterKind::unused:
            return "unused";
        default:
            return "input";
    }
}

/// "Mul<tab>mul.Tensor<tab>const aclTensor*|self|input|required<tab>..."
std::string description_of(const Operation& operation) {
    std::string line = operation.name;
    line += '\t';
    line += operation.schema == nullptr ? "" : operation.schema;
    for (std::size_t i = 0; i < operation.count; ++i) {
        line += '\t';
        line += operation.declarations[i].c_type;
        line += '|' + parameter_name(operation, i) + '|' + role_of(operation, i) + '|' +
                (may_be_null(operation, i) ? "optional" : "required");
    }
    return line + '\n';
}

}  // namespace
}  // namespace ascend_emulator

/// One line per function, separated by tabs. The text lives as long as the process.
EMULATOR_EXPORT const char* ascend_emulator_declarations() {
    static const std::string text = [] {
        std::string lines;
        for (const auto* const* each = __start_aclnn_operations; each != __stop_aclnn_operations;
             ++each) {
            lines += ascend_emulator::description_of(**each);
        }
        return lines;
    }();
    return text.c_str();
}
