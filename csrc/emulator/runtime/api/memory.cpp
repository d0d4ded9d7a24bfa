// The AscendCL functions of memory: allocation, pinned host memory, attributes of addresses.
#include <cstring>

#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/memory.h"

namespace ascend_emulator {
namespace {

int check_request(void** address, std::size_t bytes) {
    if (address == nullptr) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "the pointer to the result must not be null");
    }
    *address = nullptr;
    return bytes != 0 ? 0 : fail(ACL_ERROR_RT_PARAM_INVALID, "size must be positive, got 0");
}

int allocate_on_current(void** address, std::size_t bytes) {
    const int code = check_request(address, bytes);
    return code != 0 ? code : allocate_device(address, bytes, current_device());
}

int allocate_on_host(void** address, std::size_t bytes) {
    const int code = check_request(address, bytes);
    return code != 0 ? code : allocate_pinned(address, bytes);
}

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

aclError aclrtMalloc(void** address, size_t bytes, aclrtMemMallocPolicy policy) try {
    (void)policy;
    ACL_ENTER();
    return allocate_on_current(address, bytes);
}
ACL_CATCH

aclError aclrtMallocAlign32(void** address, size_t bytes, aclrtMemMallocPolicy policy) try {
    (void)policy;
    ACL_ENTER();
    return allocate_on_current(address, bytes);
}
ACL_CATCH

aclError aclrtFree(void* address) try {
    ACL_ENTER();
    return free_block(address, BlockKind::device);
}
ACL_CATCH

aclError aclrtMallocHost(void** address, size_t bytes) try {
    ACL_ENTER();
    return allocate_on_host(address, bytes);
}
ACL_CATCH

aclError aclrtMallocHostWithCfg(void** address, uint64_t bytes, aclrtMallocConfig* config) try {
    (void)config;
    ACL_ENTER();
    return allocate_on_host(address, bytes);
}
ACL_CATCH

aclError aclrtFreeHost(void* address) try {
    ACL_ENTER();
    return free_block(address, BlockKind::pinned);
}
ACL_CATCH

// The emulated device can access all host memory, so that registering it has no effect.
aclError aclrtHostRegister(void* address, uint64_t bytes, aclrtHostRegisterType type,
                           void** device_address) try {
    (void)bytes;
    (void)type;
    ACL_ENTER();
    ACL_REQUIRE(address);
    ACL_REQUIRE(device_address);
    *device_address = address;
    return 0;
}
ACL_CATCH

aclError aclrtHostRegisterV2(void* address, uint64_t bytes, uint32_t flag) try {
    (void)address;
    (void)bytes;
    (void)flag;
    ACL_ENTER();
    ACL_REQUIRE(address);
    return 0;
}
ACL_CATCH

aclError aclrtHostUnregister(void* address) try {
    (void)address;
    ACL_ENTER();
    return 0;
}
ACL_CATCH

aclError aclrtPointerGetAttributes(const void* address, aclrtPtrAttributes* attributes) try {
    ACL_ENTER();
    ACL_REQUIRE(attributes);
    std::memset(attributes, 0, sizeof *attributes);
    BlockInfo block;
    if (!find_block(address, &block)) {
        attributes->location.type = ACL_MEM_LOCATION_TYPE_UNREGISTERED;
        return 0;
    }
    const bool pinned = block.kind == BlockKind::pinned;
    attributes->location.type = pinned ? ACL_MEM_LOCATION_TYPE_HOST : ACL_MEM_LOCATION_TYPE_DEVICE;
    attributes->location.id = static_cast<uint32_t>(block.device);
    return 0;
}
ACL_CATCH
