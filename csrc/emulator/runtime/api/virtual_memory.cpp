// The AscendCL functions of virtual memory.
#include "emulator/runtime/objects/virtual_memory.h"

#include <cstring>
#include <string>

#include "acl/acl_rt.h"
#include "emulator/checks/stack.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/copy.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/memory.h"

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
    (void)flags;
    ACL_ENTER();
    ACL_REQUIRE(handle);
    ACL_REQUIRE(properties);
    return allocate_physical(handle, bytes, *properties,
                             !is_torch_npu(__builtin_return_address(0)));
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
    (void)flags;
    ACL_ENTER();
    const PhysicalMemory* physical = physical_memory_of(handle);
    return physical == nullptr ? ACL_ERROR_RT_PARAM_INVALID
                               : map_range(address, bytes, offset, *physical);
}
ACL_CATCH

aclError aclrtUnmapMem(void* address) try {
    ACL_ENTER();
    return unmap_range(address);
}
ACL_CATCH

aclError aclrtReserveMemAddressNoUCMemory(void** address, size_t bytes, size_t alignment,
                                          void* expected, uint64_t flags) try {
    return aclrtReserveMemAddress(address, bytes, alignment, expected, flags);
}
ACL_CATCH

// Memory has any size here; CANN's pages of 2 MB keep programs within what a device accepts.
aclError aclrtMemGetAllocationGranularity(aclrtPhysicalMemProp* properties,
                                          aclrtMemGranularityOptions option,
                                          size_t* granularity) try {
    (void)option;
    ACL_ENTER();
    ACL_REQUIRE(properties);
    ACL_REQUIRE(granularity);
    *granularity = 2 << 20;
    return 0;
}
ACL_CATCH

aclError aclrtMemGetAllocationPropertiesFromHandle(aclrtDrvMemHandle handle,
                                                   aclrtPhysicalMemProp* properties) try {
    ACL_ENTER();
    ACL_REQUIRE(properties);
    const PhysicalMemory* physical = physical_memory_of(handle);
    if (physical == nullptr) {
        return ACL_ERROR_RT_PARAM_INVALID;
    }
    *properties = {};
    properties->handleType = ACL_MEM_HANDLE_TYPE_NONE;
    properties->allocationType = ACL_MEM_ALLOCATION_TYPE_PINNED;
    properties->memAttr = ACL_HBM_MEM_HUGE;
    properties->location.type =
        physical->pages->on_host() ? ACL_MEM_LOCATION_TYPE_HOST : ACL_MEM_LOCATION_TYPE_DEVICE;
    properties->location.id = static_cast<uint32_t>(physical->pages->device());
    return 0;
}
ACL_CATCH

aclError aclrtMemRetainAllocationHandle(void* address, aclrtDrvMemHandle* handle) try {
    ACL_ENTER();
    ACL_REQUIRE(handle);
    return retain_physical(handle, address, !is_torch_npu(__builtin_return_address(0)));
}
ACL_CATCH

aclError aclrtMemExportToShareableHandle(aclrtDrvMemHandle handle, aclrtMemHandleType type,
                                         uint64_t flags, uint64_t* key) try {
    (void)type;
    (void)flags;
    ACL_ENTER();
    ACL_REQUIRE(key);
    const PhysicalMemory* physical = physical_memory_of(handle);
    return physical == nullptr ? ACL_ERROR_RT_PARAM_INVALID : export_physical(*physical, key);
}
ACL_CATCH

aclError aclrtMemImportFromShareableHandle(uint64_t key, int32_t device,
                                           aclrtDrvMemHandle* handle) try {
    ACL_ENTER();
    ACL_REQUIRE(handle);
    const int refused = check_device(device);
    return refused != 0
               ? refused
               : import_physical(handle, key, device, !is_torch_npu(__builtin_return_address(0)));
}
ACL_CATCH

// Every process of this user may import.
aclError aclrtMemSetPidToShareableHandle(uint64_t key, int32_t* pids, size_t count) try {
    (void)key;
    (void)pids;
    (void)count;
    ACL_ENTER();
    return 0;
}
ACL_CATCH

// What the shareable handle points to begins with the key; the rest of a fabric's 128 bytes is 0.
aclError aclrtMemExportToShareableHandleV2(aclrtDrvMemHandle handle, uint64_t flags,
                                           aclrtMemSharedHandleType type, void* shareable) try {
    ACL_ENTER();
    ACL_REQUIRE(shareable);
    uint64_t key = 0;
    if (const int code =
            aclrtMemExportToShareableHandle(handle, ACL_MEM_HANDLE_TYPE_NONE, flags, &key)) {
        return code;
    }
    std::memset(
        shareable, 0,
        type == ACL_MEM_SHARE_HANDLE_TYPE_FABRIC ? sizeof(aclrtMemFabricHandle) : sizeof key);
    std::memcpy(shareable, &key, sizeof key);
    return 0;
}
ACL_CATCH

aclError aclrtMemImportFromShareableHandleV2(void* shareable, aclrtMemSharedHandleType type,
                                             uint64_t flags, aclrtDrvMemHandle* handle) try {
    (void)type;
    (void)flags;
    ACL_ENTER();
    ACL_REQUIRE(shareable);
    ACL_REQUIRE(handle);
    uint64_t key = 0;
    std::memcpy(&key, shareable, sizeof key);
    return import_physical(handle, key, current_device(),
                           !is_torch_npu(__builtin_return_address(0)));
}
ACL_CATCH

aclError aclrtMemSetPidToShareableHandleV2(void* shareable, aclrtMemSharedHandleType type,
                                           int32_t* pids, size_t count) try {
    (void)type;
    ACL_REQUIRE(shareable);
    return aclrtMemSetPidToShareableHandle(0, pids, count);
}
ACL_CATCH

// A mapping can always be read and written by its device; other accesses are not emulated.
aclError aclrtMemSetAccess(void* address, size_t bytes, aclrtMemAccessDesc* descriptions,
                           size_t count) try {
    ACL_ENTER();
    ACL_REQUIRE(descriptions);
    if (const int refused = check_live("virPtr", address, bytes)) {
        return refused;
    }
    for (size_t i = 0; i < count; ++i) {
        if (descriptions[i].flags != ACL_RT_MEM_ACCESS_FLAGS_READWRITE) {
            return fail(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                        "flags must be ACL_RT_MEM_ACCESS_FLAGS_READWRITE, got " +
                            std::to_string(descriptions[i].flags));
        }
    }
    return 0;
}
ACL_CATCH

aclError aclrtMemGetAccess(void* address, aclrtMemLocation* location, uint64_t* flags) try {
    ACL_ENTER();
    ACL_REQUIRE(location);
    ACL_REQUIRE(flags);
    const std::string problem = why_not_live(address, 1);
    *flags = problem.empty() ? ACL_RT_MEM_ACCESS_FLAGS_READWRITE : ACL_RT_MEM_ACCESS_FLAGS_NONE;
    return 0;
}
ACL_CATCH
