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

aclError aclrtMalloc(void** address, size_t bytes, aclrtMemMallocPolicy policy) {
    (void)policy;
    ACL_ENTER();
    return allocate_on_current(address, bytes);
}

aclError aclrtMallocAlign32(void** address, size_t bytes, aclrtMemMallocPolicy policy) {
    (void)policy;
    ACL_ENTER();
    return allocate_on_current(address, bytes);
}

aclError aclrtFree(void* address) {
    ACL_ENTER();
    return free_block(address, BlockKind::device);
}

aclError aclrtMallocHost(void** address, size_t bytes) {
    ACL_ENTER();
    return allocate_on_host(address, bytes);
}

aclError aclrtMallocHostWithCfg(void** address, uint64_t bytes, aclrtMallocConfig* config) {
    (void)config;
    ACL_ENTER();
    return allocate_on_host(address, bytes);
}

aclError aclrtFreeHost(void* address) {
    ACL_ENTER();
    return free_block(address, BlockKind::pinned);
}

// The emulated device can access all host memory, so that registering it has no effect.
aclError aclrtHostRegister(void* address, uint64_t bytes, aclrtHostRegisterType type,
                           void** device_address) {
    (void)bytes;
    (void)type;
    ACL_ENTER();
    *device_address = address;
    return 0;
}

aclError aclrtHostRegisterV2(void* address, uint64_t bytes, uint32_t flag) {
    (void)address;
    (void)bytes;
    (void)flag;
    ACL_ENTER();
    return 0;
}

aclError aclrtHostUnregister(void* address) {
    (void)address;
    ACL_ENTER();
    return 0;
}

aclError aclrtPointerGetAttributes(const void* address, aclrtPtrAttributes* attributes) {
    ACL_ENTER();
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
