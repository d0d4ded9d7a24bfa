// The AscendCL functions of virtual memory.
#include "emulator/runtime/objects/virtual_memory.h"

#include "acl/acl_rt.h"
#include "emulator/checks/stack.h"
#include "emulator/runtime/api/entry.h"

using namespace ascend_emulator;

aclError aclrtReserveMemAddress(void** address, size_t bytes, size_t alignment, void* expected,
                                uint64_t flags) try {
    (void)alignment;
    (void)expected;
    (void)flags;
    ACL_ENTER();
    ACL_REQUIRE(address);
    return reserve_range(address, bytes);
}
ACL_CATCH

aclError aclrtReleaseMemAddress(void* address) try {
    ACL_ENTER();
    return release_range(address);
}
ACL_CATCH

aclError aclrtMallocPhysical(aclrtDrvMemHandle* handle, size_t bytes,
                             const aclrtPhysicalMemProp* properties, uint64_t flags) try {
    (void)properties;
    (void)flags;
    ACL_ENTER();
    ACL_REQUIRE(handle);
    return allocate_physical(handle, bytes, !is_torch_npu(__builtin_return_address(0)));
}
ACL_CATCH

aclError aclrtFreePhysical(aclrtDrvMemHandle handle) try {
    ACL_ENTER();
    PhysicalMemory* physical = physical_memory_of(handle);
    if (physical == nullptr) {
        return ACL_ERROR_RT_PARAM_INVALID;
    }
    free_physical(physical);
    return 0;
}
ACL_CATCH

aclError aclrtMapMem(void* address, size_t bytes, size_t offset, aclrtDrvMemHandle handle,
                     uint64_t flags) try {
    (void)offset;
    (void)flags;
    ACL_ENTER();
    const PhysicalMemory* physical = physical_memory_of(handle);
    return physical == nullptr ? ACL_ERROR_RT_PARAM_INVALID : map_range(address, bytes, *physical);
}
ACL_CATCH

aclError aclrtUnmapMem(void* address) try {
    ACL_ENTER();
    return unmap_range(address);
}
ACL_CATCH
