// The AscendCL functions that describe a device: its identity, its cores and what it can do.
#include <cstdio>
#include <cstring>
#include <map>

#include "acl/acl.h"
#include "emulator/options/options.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/resource_limits.h"

namespace ascend_emulator {
namespace {

constexpr std::int64_t l2_bytes = 192 << 20;

/// The attributes that are known, without those that describe hardware which the emulator lacks.
bool find_attribute(int device, aclrtDevAttr attribute, std::int64_t* value) {
    const std::map<aclrtDevAttr, std::int64_t> known = {
        {ACL_DEV_ATTR_AICPU_CORE_NUM, 1},
        {ACL_DEV_ATTR_AICORE_CORE_NUM, cube_cores},
        {ACL_DEV_ATTR_CUBE_CORE_NUM, cube_cores},
        {ACL_DEV_ATTR_VECTOR_CORE_NUM, vector_cores},
        {ACL_DEV_ATTR_UBUF_PER_VECTOR_CORE, 192 << 10},
        {ACL_DEV_ATTR_TOTAL_GLOBAL_MEM_SIZE, static_cast<std::int64_t>(total_memory())},
        {ACL_DEV_ATTR_L2_CACHE_SIZE, l2_bytes},
        {ACL_DEV_ATTR_PHY_CHIP_ID, physical_device(device)},
        {ACL_DEV_ATTR_IS_VIRTUAL, 0},
    };
    const auto found = known.find(attribute);
    if (found != known.end()) {
        *value = found->second;
    }
    return found != known.end();
}

int user_of_physical(int physical, std::int32_t* user) {
    for (int device = 0; device < device_count(); ++device) {
        if (physical_device(device) == physical) {
            *user = device;
            return 0;
        }
    }
    return fail(ACL_ERROR_RT_INVALID_DEVICEID,
                "device " + std::to_string(physical) +
                    " of the machine is not visible (ASCEND_RT_VISIBLE_DEVICES)");
}

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

aclError aclrtDeviceGetUuid(int32_t device, aclrtUuid* uuid) try {
    ACL_ENTER();
    ACL_REQUIRE(uuid);
    if (const int refused = check_device(device)) {
        return refused;
    }
    std::memset(uuid, 0, sizeof *uuid);
    std::snprintf(uuid->bytes, sizeof uuid->bytes, "emulated-npu-%d", physical_device(device));
    return 0;
}
ACL_CATCH

aclError aclrtGetLogicDevIdByUserDevId(const int32_t user_device, int32_t* const logic_device) try {
    ACL_REQUIRE(logic_device);
    if (const int refused = check_device(user_device)) {
        return refused;
    }
    *logic_device = physical_device(user_device);
    return 0;
}
ACL_CATCH

aclError aclrtGetUserDevIdByLogicDevId(const int32_t logic_device, int32_t* const user_device) try {
    ACL_REQUIRE(user_device);
    return user_of_physical(logic_device, user_device);
}
ACL_CATCH

// The devices of a machine are numbered once: the logical index is the physical one.
aclError aclrtGetPhyDevIdByLogicDevId(const int32_t logic_device,
                                      int32_t* const physical_device) try {
    ACL_REQUIRE(physical_device);
    *physical_device = logic_device;
    return 0;
}
ACL_CATCH

aclError aclrtGetLogicDevIdByPhyDevId(const int32_t physical_device,
                                      int32_t* const logic_device) try {
    ACL_REQUIRE(logic_device);
    *logic_device = physical_device;
    return 0;
}
ACL_CATCH

aclError aclrtGetDeviceInfo(uint32_t device, aclrtDevAttr attribute, int64_t* value) try {
    ACL_ENTER();
    ACL_REQUIRE(value);
    if (const int refused = check_device(static_cast<int>(device))) {
        return refused;
    }
    return find_attribute(static_cast<int>(device), attribute, value)
               ? 0
               : fail(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                      "attribute " + std::to_string(attribute) +
                          " describes hardware that the emulated NPU does not have");
}
ACL_CATCH

// No feature of the task scheduler is emulated.
aclError aclrtGetDeviceCapability(int32_t device, aclrtDevFeatureType feature, int32_t* value) try {
    (void)feature;
    ACL_ENTER();
    ACL_REQUIRE(value);
    if (const int refused = check_device(device)) {
        return refused;
    }
    *value = ACL_DEV_FEATURE_NOT_SUPPORT;
    return 0;
}
ACL_CATCH

aclError aclGetDeviceCapability(uint32_t device, aclDeviceInfo info, int64_t* value) try {
    ACL_REQUIRE(value);
    (void)device;
    *value = info == ACL_DEVICE_INFO_AI_CORE_NUM       ? cube_cores
             : info == ACL_DEVICE_INFO_VECTOR_CORE_NUM ? vector_cores
                                                       : l2_bytes;
    return 0;
}
ACL_CATCH

aclError aclrtGetDeviceUtilizationRate(int32_t device, aclrtUtilizationInfo* rates) try {
    ACL_REQUIRE(rates);
    (void)device;
    rates->cubeUtilization = 0;
    rates->vectorUtilization = 0;
    rates->aicpuUtilization = 0;
    rates->memoryUtilization = 0;
    return 0;
}
ACL_CATCH

// Priorities are stored and have no effect: each stream has a thread of its own.
aclError aclrtDeviceGetStreamPriorityRange(int32_t* least, int32_t* greatest) try {
    ACL_ENTER();
    if (least != nullptr) {
        *least = 7;
    }
    if (greatest != nullptr) {
        *greatest = 0;
    }
    return 0;
}
ACL_CATCH
