// Functions that torch_npu's libraries are linked against, so that they do not load without them,
// and that the emulator does not do. Each fails when it is called, and says so. Every other
// function that is not emulated is absent: torch_npu finds out and does without.
#include <cstdio>

#include "emulator/interface/services.h"
#include "emulator/runtime/objects/error.h"

namespace ascend_emulator {
namespace {

constexpr int not_supported = 200001;  // ACL_ERROR_API_NOT_SUPPORT

int refuse(const char* function) {
    set_current_function(function);
    std::fprintf(stderr, "[emulated NPU] %s was called; it is not emulated\n", function);
    return fail(not_supported, "is not emulated (csrc/emulator/runtime/api/unavailable.cpp)");
}

}  // namespace
}  // namespace ascend_emulator

// The arguments of the real ones are not needed to refuse the call.
#define NOT_EMULATED(NAME) \
    EMULATOR_EXPORT int NAME() { return ascend_emulator::refuse(#NAME); }

NOT_EMULATED(aclmdlFinalizeDump)
NOT_EMULATED(aclmdlInitDump)
NOT_EMULATED(aclmdlSetDump)
NOT_EMULATED(aclrtBinaryGetFunction)
NOT_EMULATED(aclrtBinaryLoadFromData)
NOT_EMULATED(aclrtGetFunctionAddr)
NOT_EMULATED(aclrtMemExportToShareableHandle)
NOT_EMULATED(aclrtMemImportFromShareableHandle)
NOT_EMULATED(aclrtMemSetPidToShareableHandle)
NOT_EMULATED(rtDevBinaryRegister)
NOT_EMULATED(rtFunctionRegister)
NOT_EMULATED(rtGetC2cCtrlAddr)
NOT_EMULATED(rtKernelLaunch)
NOT_EMULATED(MsprofGetHashId)
NOT_EMULATED(MsprofRegisterCallback)
NOT_EMULATED(MsprofReportAdditionalInfo)
NOT_EMULATED(MsprofReportApi)
NOT_EMULATED(MsprofReportCompactInfo)
NOT_EMULATED(MsprofSysCycleTime)
