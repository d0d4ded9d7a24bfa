// The AscendCL functions of virtual memory.
#include "emulator/runtime/objects/virtual_memory.h"

#include "acl/acl_rt.h"
#include "emulator/checks/stack.h"
#include "emulator/runtime/api/entry.h"

using namespace ascend_emulator;

aclError aclrtReserveMemAddress(void** address, size_t bytes, size_t alignment, void* expected,
                                uint64_t flags) {
    (void)alignment;
    (void)expected;
    (void)flags;
    ACL_ENTER();
    return reserve_range(address, bytes);
}

aclError aclrtReleaseMemAddress(void* address) {
    ACL_ENTER();
    return release_range(address);
}

aclError aclrtMallocPhysical(aclrtDrvMemHandle* handle, size_t bytes,
                             const aclrtPhysicalMemProp* properties, uint64_t flags) {
    (void)properties;
    (void)flags;
    ACL_ENTER();
    return allocate_physical(handle, bytes, !is_torch_npu(__builtin_return_address(0)));
}

aclError aclrtFreePhysical(aclrtDrvMemHandle handle) {
    ACL_ENTER();
    PhysicalMemory* physical = physical_memory_of(handle);
    if (physical == nullptr) {
        return ACL_ERROR_RT_PARAM_INVALID;
    }
    free_physical(physical);
    return 0;
}

aclError aclrtMapMem(void* address, size_t bytes, size_t offset, aclrtDrvMemHandle handle,
                     uint64_t flags) {
    (void)offset;
    (void)flags;
    ACL_ENTER();
    const PhysicalMemory* physical = physical_memory_of(handle);
    return physical == nullptr ? ACL_ERROR_RT_PARAM_INVALID : map_range(address, bytes, *physical);
}

aclError aclrtUnmapMem(void* address) {
    ACL_ENTER();
    return unmap_range(address);
}
