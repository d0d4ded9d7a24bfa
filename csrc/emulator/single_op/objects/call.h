// A single-operator call: the operands of its C function, and the kernel in libopapi that runs it.
#pragma once

#include "acl/acl_op_compiler.h"

namespace ascend_emulator {

/// The inputs or the outputs of a call.
struct Operands {
    int count;
    const aclTensorDesc* const* descriptors;
    const aclDataBuffer* const* buffers;
};

/// Enter `function`, check the descriptors and run the operator `type`. Returns 0, or a code with
/// an error noted, for example if the operator is not emulated.
int compile_and_execute(const char* function, const char* type, const Operands& inputs,
                        const Operands& outputs, const aclopAttr* attribute, void* stream);

}  // namespace ascend_emulator
