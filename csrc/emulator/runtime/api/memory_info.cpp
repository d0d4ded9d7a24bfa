// The AscendCL functions that describe memory: what is free, and what an address belongs to.
#include <cstdio>
#include <cstring>

#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/host_registration.h"
#include "emulator/runtime/objects/memory.h"

using namespace ascend_emulator;

// Every kind of memory of a device is one: HBM, with pages of any size.
aclError aclrtGetMemInfo(aclrtMemAttr attribute, size_t* free_bytes, size_t* total) try {
    (void)attribute;
    ACL_ENTER();
    ACL_REQUIRE(free_bytes);
    ACL_REQUIRE(total);
    DeviceState& state = device_state(current_device());
    const std::lock_guard<std::mutex> lock(state.mutex);
    *total = total_memory();
    *free_bytes = total_memory() - state.used;
    return 0;
}
ACL_CATCH

aclError aclrtGetMemUsageInfo(int32_t device, aclrtMemUsageInfo* info, size_t capacity,
                              size_t* count) try {
    ACL_ENTER();
    ACL_REQUIRE(count);
    if (const int refused = check_device(device)) {
        return refused;
    }
    if (capacity != 0) {
        ACL_REQUIRE(info);
    }
    DeviceState& state = device_state(device);
    const std::lock_guard<std::mutex> lock(state.mutex);
    *count = capacity == 0 ? 0 : 1;
    if (capacity != 0) {
        std::snprintf(info->name, sizeof info->name, "emulated");
        info->curMemSize = state.used;
        info->memPeakSize = state.peak;
    }
    return 0;
}
ACL_CATCH

aclError aclrtPointerGetAttributes(const void* address, aclrtPtrAttributes* attributes) try {
    ACL_ENTER();
    ACL_REQUIRE(attributes);
    std::memset(attributes, 0, sizeof *attributes);
    BlockInfo block;
    if (!find_block(address, &block)) {
        attributes->location.type = is_registered(address) ? ACL_MEM_LOCATION_TYPE_HOST
                                                           : ACL_MEM_LOCATION_TYPE_UNREGISTERED;
        return 0;
    }
    attributes->location.type =
        is_host_kind(block.kind) ? ACL_MEM_LOCATION_TYPE_HOST : ACL_MEM_LOCATION_TYPE_DEVICE;
    attributes->location.id = static_cast<uint32_t>(block.device);
    return 0;
}
ACL_CATCH

aclError aclrtMemGetAddressRange(void* address, void** begin, size_t* bytes) try {
    ACL_ENTER();
    BlockInfo block;
    if (!find_block(address, &block)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, why_not_live(address, 1));
    }
    if (begin != nullptr) {
        *begin = const_cast<void*>(block.begin);
    }
    if (bytes != nullptr) {
        *bytes = block.bytes;
    }
    return 0;
}
ACL_CATCH

// `type` is a set of the types that each address may be of.
aclError aclrtCheckMemType(void** addresses, uint32_t count, uint32_t type, uint32_t* result,
                           uint32_t reserved) try {
    ACL_ENTER();
    ACL_REQUIRE(addresses);
    ACL_REQUIRE(result);
    if (reserved != 0) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "reserve must be 0");
    }
    *result = (type & ACL_RT_MEM_TYPE_DEV) != 0 ? 1 : 0;
    for (uint32_t i = 0; i < count; ++i) {
        BlockInfo block;
        if (!find_block(addresses[i], &block) || !is_device_address(addresses[i])) {
            *result = 0;
        }
    }
    return 0;
}
ACL_CATCH
