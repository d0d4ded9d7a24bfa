// The functions of executors, and those that torch_npu calls around every operator.
#include "emulator/aclnn/executor.h"

#include "emulator/interface/guard.h"

using namespace ascend_emulator;

EMULATOR_EXPORT int aclSetAclOpExecutorRepeatable(aclOpExecutor* executor) {
    return guarded([&] { return set_repeatable(executor); });
}

EMULATOR_EXPORT int aclDestroyAclOpExecutor(aclOpExecutor* executor) {
    return guarded([&] { return destroy_executor(executor); });
}

EMULATOR_EXPORT int aclnnInit(const char*) { return 0; }
EMULATOR_EXPORT int aclnnFinalize() { return 0; }

// Operators have no memory pool and, as CanUsePTACache is absent, executors have no cache.
EMULATOR_EXPORT int InitHugeMemThreadLocal(void*, bool) { return 0; }
EMULATOR_EXPORT void UnInitHugeMemThreadLocal(void*, bool) {}
EMULATOR_EXPORT void ReleaseHugeMem(void*, bool) {}
