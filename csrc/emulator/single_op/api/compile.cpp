// Compiling and executing a single operator. Nothing is compiled: options have no effect.
#include <cstdio>

#include "emulator/single_op/objects/call.h"
#include "emulator/single_op/objects/handles.h"

using namespace ascend_emulator;

aclError aclSetCompileopt(aclCompileOpt option, const char* value) {
    (void)option;
    (void)value;
    return 0;
}
size_t aclGetCompileoptSize(aclCompileOpt option) {
    (void)option;
    return sizeof "disable";
}
aclError aclGetCompileopt(aclCompileOpt option, char* value, size_t capacity) {
    (void)option;
    if (const int refused = check_pointer(value, "value")) {
        return refused;
    }
    std::snprintf(value, capacity, "disable");  // nothing is compiled just in time
    return 0;
}

aclGraphDumpOption* aclCreateGraphDumpOpt() {
    return guarded_pointer([] { return make_handle<aclGraphDumpOption>(); });
}
aclError aclDestroyGraphDumpOpt(const aclGraphDumpOption* option) {
    if (option == nullptr) {
        return 0;
    }
    const int refused = check_handle(option);
    if (refused == 0) {
        destroy_handle(option);
    }
    return refused;
}

aclError aclopCompileAndExecute(const char* type, int input_count,
                                const aclTensorDesc* const input_descriptors[],
                                const aclDataBuffer* const inputs[], int output_count,
                                const aclTensorDesc* const output_descriptors[],
                                aclDataBuffer* const outputs[], const aclopAttr* attribute,
                                aclopEngineType engine, aclopCompileType compile_type,
                                const char* path, aclrtStream stream) {
    (void)engine;
    (void)compile_type;
    (void)path;
    return compile_and_execute(__func__, type, {input_count, input_descriptors, inputs},
                               {output_count, output_descriptors, outputs}, attribute, stream);
}

aclError aclopCompileAndExecuteV2(const char* type, int input_count,
                                  aclTensorDesc* input_descriptors[], aclDataBuffer* inputs[],
                                  int output_count, aclTensorDesc* output_descriptors[],
                                  aclDataBuffer* outputs[], aclopAttr* attribute,
                                  aclopEngineType engine, aclopCompileType compile_type,
                                  const char* path, aclrtStream stream) {
    (void)engine;
    (void)compile_type;
    (void)path;
    return compile_and_execute(__func__, type, {input_count, input_descriptors, inputs},
                               {output_count, output_descriptors, outputs}, attribute, stream);
}
