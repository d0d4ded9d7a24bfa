// What the command line decides for one source. It comes behind kernel_operator.h, so that the
// precompiled form of that header serves kernels for all kinds of cores.
#pragma once

#include "ascendc/dtype_numbers.h"
#include "ascendc/launch.h"
#include "ascendc/synchronization.h"

namespace aicore {

[[maybe_unused]] static CompiledFor compiled_for() {
    return {__NPU_ARCH__, AICORE_AUTO_SYNC != 0, AICORE_PASSES == 2};
}

}  // namespace aicore

// How a kernel distinguishes the cores. In a mixed kernel the answer is known at run time.
#if AICORE_CORES == 0
constexpr std::int32_t g_coreType = AscendC::AIV;
#elif AICORE_CORES == 1
constexpr std::int32_t g_coreType = AscendC::AIC;
#else
#define g_coreType (::aicore::core->is_cube() ? ::AscendC::AIC : ::AscendC::AIV)
#endif
#define ASCEND_IS_AIV (g_coreType == ::AscendC::AIV)
#define ASCEND_IS_AIC (g_coreType == ::AscendC::AIC)
#define ASCEND_IS_NOT_AIV (g_coreType != ::AscendC::AIV)
#define ASCEND_IS_NOT_AIC (g_coreType != ::AscendC::AIC)
