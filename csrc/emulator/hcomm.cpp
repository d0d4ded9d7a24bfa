// libhcomm.so: torch_npu looks up the functions that group sends and receives here. CANN's library
// has them through its dependency libhccl; this one calls libhccl's.
#include <dlfcn.h>

#include "emulator/interface/export.h"
#include "hccl/hccl_types.h"

namespace {

HcclResult pass_on(const char* function) {
    void* library = dlopen("libhccl.so", RTLD_LAZY);
    void* symbol = library == nullptr ? nullptr : dlsym(library, function);
    return symbol == nullptr ? HCCL_E_NOT_FOUND : reinterpret_cast<HcclResult (*)()>(symbol)();
}

}  // namespace

EMULATOR_EXPORT HcclResult HcclGroupStart() { return pass_on("HcclGroupStart"); }
EMULATOR_EXPORT HcclResult HcclGroupEnd() { return pass_on("HcclGroupEnd"); }
