// libacl_op_compiler.so: descriptors and attributes of single-operator calls.
#include "acl/acl_op_compiler.h"
#include "acl/acl_rt.h"

#include <dlfcn.h>

#include <cstdio>

#include "emulator/interface/data_buffer.h"
#include "emulator/interface/handle.h"
#include "emulator/interface/services.h"
#include "emulator/interface/single_op_call.h"

using namespace ascend_emulator;

struct aclTensorDesc : Handle {
    aclTensorDesc() : Handle(HandleKind::descriptor) {}
    aclDataType data_type = ACL_DT_UNDEFINED;
    std::vector<int64_t> sizes;
    aclFormat format = ACL_FORMAT_ND;
    std::string name;
    bool on_host = false;
};

struct aclopAttr {
    SingleOpCall values;
};

struct aclGraphDumpOption {};

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
    tensor.data = buffer == nullptr ? nullptr : buffer->data;
    if (descriptor->on_host && tensor.data != nullptr) {
        const char* bytes = static_cast<char*>(tensor.data);
        tensor.host_bytes.assign(bytes, bytes + buffer->size);
    }
    return tensor;
}

SingleOpCall call_of(const char* type, int input_count,
                     const aclTensorDesc* const input_descriptors[],
                     const aclDataBuffer* const inputs[], int output_count,
                     const aclTensorDesc* const output_descriptors[],
                     const aclDataBuffer* const outputs[], const aclopAttr* attribute) {
    SingleOpCall call = attribute == nullptr ? SingleOpCall() : attribute->values;
    call.type = type;
    for (int i = 0; i < input_count; ++i) {
        call.inputs.push_back(operand(input_descriptors[i], inputs[i]));
    }
    for (int i = 0; i < output_count; ++i) {
        call.outputs.push_back(operand(output_descriptors[i], outputs[i]));
    }
    return call;
}

/// 0, or a code, with an error noted, if one is not a live descriptor.
int check(int count, const aclTensorDesc* const descriptors[]) {
    for (int i = 0; i < count; ++i) {
        const std::string problem = why_unusable(descriptors[i], HandleKind::descriptor);
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
        "csrc/emulator/ops/single_op.cpp";
    std::fprintf(stderr, "[emulated NPU] %s\n", problem.c_str());
    return services().fail(ACL_ERROR_OP_NOT_FOUND, problem);
}

aclError set_text(aclopAttr* attribute, const char* name, std::string text) {
    attribute->values.texts[name] = std::move(text);
    return 0;
}

aclError set_number(aclopAttr* attribute, const char* name, double number) {
    attribute->values.numbers[name] = number;
    return 0;
}

}  // namespace

aclTensorDesc* aclCreateTensorDesc(aclDataType type, int rank, const int64_t* sizes,
                                   aclFormat format) {
    auto* descriptor = new aclTensorDesc;
    descriptor->data_type = type;
    descriptor->sizes.assign(sizes, sizes + (rank > 0 ? rank : 0));
    descriptor->format = format;
    services().count_handle(HandleKind::descriptor, 1);
    return descriptor;
}

void aclDestroyTensorDesc(const aclTensorDesc* descriptor) {
    static auto* const quarantine = new Quarantine<aclTensorDesc>;
    if (descriptor == nullptr) {
        return;
    }
    const std::string problem = why_unusable(descriptor, HandleKind::descriptor);
    if (!problem.empty()) {
        services().fail(ACL_ERROR_INVALID_PARAM, problem);
        return;
    }
    services().count_handle(HandleKind::descriptor, -1);
    quarantine->put(const_cast<aclTensorDesc*>(descriptor));
}

aclError aclSetTensorFormat(aclTensorDesc* descriptor, aclFormat format) {
    descriptor->format = format;
    return 0;
}
// Sets the storage's shape, which differs from the tensor's only in private formats.
aclError aclSetTensorShape(aclTensorDesc* descriptor, int rank, const int64_t* sizes) {
    (void)descriptor;
    (void)rank;
    (void)sizes;
    return 0;
}
aclError aclSetTensorPlaceMent(aclTensorDesc* descriptor, aclMemType type) {
    descriptor->on_host = type != ACL_MEMTYPE_DEVICE;
    return 0;
}
void aclSetTensorDescName(aclTensorDesc* descriptor, const char* name) { descriptor->name = name; }
aclDataType aclGetTensorDescType(const aclTensorDesc* descriptor) { return descriptor->data_type; }
aclFormat aclGetTensorDescFormat(const aclTensorDesc* descriptor) { return descriptor->format; }
size_t aclGetTensorDescNumDims(const aclTensorDesc* descriptor) { return descriptor->sizes.size(); }
aclError aclGetTensorDescDimV2(const aclTensorDesc* descriptor, size_t index, int64_t* size) {
    if (index >= descriptor->sizes.size()) {
        return services().fail(ACL_ERROR_INVALID_PARAM,
                               "index must be below the number of dimensions, " +
                                   std::to_string(descriptor->sizes.size()) + ", got " +
                                   std::to_string(index));
    }
    *size = descriptor->sizes[index];
    return 0;
}

aclopAttr* aclopCreateAttr() { return new aclopAttr; }
void aclopDestroyAttr(const aclopAttr* attribute) { delete attribute; }
aclError aclopSetAttrBool(aclopAttr* attribute, const char* name, uint8_t value) {
    return set_number(attribute, name, value);
}
aclError aclopSetAttrInt(aclopAttr* attribute, const char* name, int64_t value) {
    return set_number(attribute, name, static_cast<double>(value));
}
aclError aclopSetAttrFloat(aclopAttr* attribute, const char* name, float value) {
    return set_number(attribute, name, value);
}
aclError aclopSetAttrDataType(aclopAttr* attribute, const char* name, aclDataType value) {
    return set_number(attribute, name, value);
}
aclError aclopSetAttrString(aclopAttr* attribute, const char* name, const char* value) {
    return set_text(attribute, name, value);
}
aclError aclopSetAttrListInt(aclopAttr* attribute, const char* name, int count,
                             const int64_t* values) {
    attribute->values.lists[name].assign(values, values + count);
    return 0;
}
aclError aclopSetAttrListBool(aclopAttr* attribute, const char* name, int count,
                              const uint8_t* values) {
    attribute->values.lists[name].assign(values, values + count);
    return 0;
}
// No kernel reads such a list yet; for one that does, the values would have to be stored here.
aclError aclopSetAttrListFloat(aclopAttr* attribute, const char* name, int count,
                               const float* values) {
    (void)values;
    return set_text(attribute, name, "a list of " + std::to_string(count) + " floats");
}
aclError aclopSetAttrListListInt(aclopAttr* attribute, const char* name, int count,
                                 const int* counts, const int64_t* const values[]) {
    (void)counts;
    (void)values;
    return set_text(attribute, name, "a list of " + std::to_string(count) + " lists");
}

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
    std::snprintf(value, capacity, "disable");  // nothing is compiled just in time
    return 0;
}
// torch_npu looks these up here; CANN's library has them through its dependency libascendcl.
aclError aclrtSetSysParamOpt(aclSysParamOpt option, int64_t value) {
    (void)option;
    (void)value;
    return 0;
}
aclError aclrtCtxSetSysParamOpt(aclSysParamOpt option, int64_t value) {
    (void)option;
    (void)value;
    return 0;
}
aclError aclrtGetSysParamOpt(aclSysParamOpt option, int64_t* value) {
    (void)option;
    *value = 0;
    return 0;
}

aclGraphDumpOption* aclCreateGraphDumpOpt() { return new aclGraphDumpOption; }
aclError aclDestroyGraphDumpOpt(const aclGraphDumpOption* option) {
    delete option;
    return 0;
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
    int refused = services().enter(__func__);
    refused = refused != 0 ? refused : check(input_count, input_descriptors);
    refused = refused != 0 ? refused : check(output_count, output_descriptors);
    if (refused != 0) {
        return refused;
    }
    return run(call_of(type, input_count, input_descriptors, inputs, output_count,
                       output_descriptors, outputs, attribute),
               stream);
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
    int refused = services().enter(__func__);
    refused = refused != 0 ? refused : check(input_count, input_descriptors);
    refused = refused != 0 ? refused : check(output_count, output_descriptors);
    if (refused != 0) {
        return refused;
    }
    return run(call_of(type, input_count, input_descriptors, inputs, output_count,
                       output_descriptors, outputs, attribute),
               stream);
}
