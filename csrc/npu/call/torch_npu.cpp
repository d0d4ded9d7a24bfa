#include "npu/call/torch_npu.h"

#include <dlfcn.h>

#include <stdexcept>

#include "npu/call/function.h"

namespace ascend_ops::aclnn {
namespace {

void* loaded_torch_npu() {
    void* library = dlopen("libtorch_npu.so", RTLD_LAZY | RTLD_NOLOAD);
    if (library == nullptr) {
        throw std::runtime_error(
            "NPU ops require libtorch_npu.so, which this process has not loaded: import torch_npu "
            "first");
    }
    return library;
}

template <class Signature>
void bind(void* library, const char* symbol, const char* what, Signature*& target) {
    target = reinterpret_cast<Signature*>(dlsym(library, symbol));
    if (target == nullptr) {
        throw std::runtime_error(std::string("NPU ops require ") + what + " (" + symbol +
                                 "), which this version of torch_npu does not export: install "
                                 "another version");
    }
}

}  // namespace

TorchNpu::TorchNpu() {
    void* library = loaded_torch_npu();
    bind(library, "_Z16GetOpApiFuncAddrPKc", "GetOpApiFuncAddr", find_aclnn_);
    bind(
        library,
        "_ZN6at_npu6native13OpPreparation27apply_tensor_without_formatERKN2at6TensorEN3c108ArrayRef"
        "IlEE",
        "OpPreparation::apply_tensor_without_format", new_tensor_);
    bind(library, "_ZN7c10_npu19getCurrentNPUStreamEa", "getCurrentNPUStream", current_stream_);
    bind(library, "_ZNK7c10_npu9NPUStream6streamEb", "NPUStream::stream", stream_handle_);
    bind(library,
         "_ZN6at_npu6native9OpCommand10RunOpApiV2ERKNSt7__cxx1112basic_stringIcSt11char_traitsIcE"
         "SaIcEEERKSt8functionIFivEEb",
         "OpCommand::RunOpApiV2", run_);
    bind(library, "_ZN6at_npu6native23ApplyDeterministicLevelElbb", "ApplyDeterministicLevel",
         apply_level_);
    bind(library, "_ZN7c10_npu21GetDeterministicLevelEv", "GetDeterministicLevel", level_);
    bind(library, "_ZN6at_npu6native14get_npu_formatERKN2at6TensorE", "get_npu_format", format_);
    bind(library, "_ZN2at13globalContextEv", "at::globalContext", context_);
    bind(library, "_ZNK2at7Context23deterministicAlgorithmsEv", "deterministicAlgorithms",
         deterministic_);
}

void* TorchNpu::find_aclnn(const char* name) const { return find_aclnn_(name); }

void* TorchNpu::current_stream() const {
    const Stream stream = current_stream_(-1);
    return stream_handle_(&stream, false);
}

void TorchNpu::queue(const std::string& name, const std::function<int()>& work) const {
    run_(name, work, false);
}

void TorchNpu::apply_determinism() const {
    apply_level_(level_(), deterministic_(context_()), true);
}

void* TorchNpu::new_tensor(void* like, const std::int64_t* sizes, std::size_t count) const {
    return new TensorObject(new_tensor_(like, {sizes, count}));
}

std::int64_t TorchNpu::format_of(void* tensor) const { return format_(tensor); }

const TorchNpu& torch_npu() {
    static const TorchNpu symbols;
    return symbols;
}

bool is_capturing() {
    using GetInfo = int (*)(void*, int*, void**);
    static const auto get_info = reinterpret_cast<GetInfo>(find_symbol("aclmdlRICaptureGetInfo"));
    int status = 0;  // ACL_MODEL_RI_CAPTURE_STATUS_NONE
    void* graph = nullptr;
    return get_info != nullptr && get_info(torch_npu().current_stream(), &status, &graph) == 0 &&
           status != 0;
}

std::string torch_npu_problem() {
    try {
        torch_npu();
        return "";
    } catch (const std::exception& error) {
        return error.what();
    }
}

}  // namespace ascend_ops::aclnn
