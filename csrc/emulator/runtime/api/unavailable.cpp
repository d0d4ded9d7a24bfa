// Functions that are not emulated, but that torch_npu's libraries are linked against and do not
// load without. Each fails with a message when it is called. All other functions that are not
// emulated are absent: torch_npu looks them up and falls back.
#include <cstdio>

#include "acl/acl_base.h"
#include "emulator/interface/export.h"
#include "emulator/runtime/objects/error.h"

namespace ascend_emulator {
namespace {

int refuse(const char* function) {
    set_current_function(function);
    std::fprintf(stderr, "[emulated NPU] %s is not emulated\n", function);
    return fail(ACL_ERROR_API_NOT_SUPPORT,
                "is not emulated; see csrc/emulator/runtime/api/unavailable.cpp");
}

}  // namespace
}  // namespace ascend_emulator

// The arguments of the real functions are not needed to refuse the call.
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
