#include "emulator/single_op/objects/call.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>

#include "emulator/interface/data_buffer.h"
#include "emulator/single_op/objects/handles.h"

namespace ascend_emulator {
namespace {

std::string describe(const SingleOpTensor& tensor) {
    std::string text = tensor.name + ":type" + std::to_string(tensor.data_type) + "[";
    for (const int64_t size : tensor.sizes) {
        text += std::to_string(size) + ",";
    }
    return text + "] ";
}

std::string describe(const SingleOpCall& call) {
    std::string text = call.type + "(";
    for (const SingleOpTensor& input : call.inputs) {
        text += describe(input);
    }
    text += ") -> ";
    for (const SingleOpTensor& output : call.outputs) {
        text += describe(output);
    }
    return text;
}

SingleOpTensor operand(const aclTensorDesc* descriptor, const aclDataBuffer* buffer) {
    SingleOpTensor tensor;
    tensor.name = descriptor->name;
    tensor.data_type = descriptor->data_type;
    tensor.sizes = descriptor->sizes;
    tensor.format = descriptor->format;
    tensor.storage_sizes = descriptor->storage_sizes;
    tensor.data = buffer == nullptr ? nullptr : buffer->data;
    if (descriptor->on_host && tensor.data != nullptr) {
        const char* bytes = static_cast<char*>(tensor.data);
        tensor.host_bytes.assign(bytes, bytes + buffer->size);
    }
    return tensor;
}

std::vector<SingleOpTensor> tensors_of(const Operands& operands) {
    std::vector<SingleOpTensor> tensors;
    tensors.reserve(static_cast<std::size_t>(std::max(operands.count, 0)));
    for (int i = 0; i < operands.count; ++i) {
        tensors.push_back(operand(operands.descriptors[i], operands.buffers[i]));
    }
    return tensors;
}

/// 0, or a code, with an error noted, if an operand cannot be used.
int check(const Operands& operands) {
    if (operands.count < 0 ||
        (operands.count > 0 && (operands.descriptors == nullptr || operands.buffers == nullptr))) {
        return services().fail(
            ACL_ERROR_INVALID_PARAM,
            "the operands must be given with their number, got " + std::to_string(operands.count));
    }
    for (int i = 0; i < operands.count; ++i) {
        std::string problem = why_unusable(operands.descriptors[i]);
        if (problem.empty() && operands.buffers[i] != nullptr) {
            problem = services().why_no_buffer(operands.buffers[i]);
        }
        if (!problem.empty()) {
            return services().fail(ACL_ERROR_INVALID_PARAM,
                                   "operand " + std::to_string(i) + ": " + problem);
        }
    }
    return 0;
}

SingleOpRunner kernels() {
    static const SingleOpRunner runner = [] {
        void* library = dlopen("libopapi.so", RTLD_LAZY);
        void* symbol = library == nullptr ? nullptr : dlsym(library, "ascend_emulator_single_op");
        return reinterpret_cast<SingleOpRunner>(symbol);
    }();
    return runner;
}

int run(const SingleOpCall& call, void* stream) {
    const int code = kernels() == nullptr ? no_such_kernel : kernels()(call, stream);
    if (code != no_such_kernel) {
        return code;
    }
    const std::string problem =
        "the operator " + describe(call) +
        "is not emulated. Add its aclnn function to csrc/emulator/ops, or its kernel to "
        "csrc/emulator/ops/single_op";
    std::fprintf(stderr, "[emulated NPU] %s\n", problem.c_str());
    return services().fail(ACL_ERROR_OP_NOT_FOUND, problem);
}

}  // namespace

int compile_and_execute(const char* function, const char* type, const Operands& inputs,
                        const Operands& outputs, const aclopAttr* attribute, void* stream) {
    return guarded([&] {
        int refused = services().enter(function);
        refused = refused != 0 ? refused : check_pointer(type, "opType");
        refused = refused != 0 ? refused : check(inputs);
        refused = refused != 0 ? refused : check(outputs);
        if (refused == 0 && attribute != nullptr) {
            refused = check_handle(attribute);
        }
        if (refused != 0) {
            return refused;
        }
        SingleOpCall call = attribute == nullptr ? SingleOpCall() : attribute->values;
        call.type = type;
        call.inputs = tensors_of(inputs);
        call.outputs = tensors_of(outputs);
        return run(call, stream);
    });
}

}  // namespace ascend_emulator
