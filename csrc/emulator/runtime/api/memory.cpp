// The AscendCL functions of memory: allocation, and pinned and registered host memory.
#include "emulator/runtime/objects/memory.h"
#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/copy.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/host_registration.h"

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

aclError aclrtMallocCached(void** address, size_t bytes, aclrtMemMallocPolicy policy) try {
    return aclrtMalloc(address, bytes, policy);
}
ACL_CATCH

// The attributes of a configuration name a module or a device's kind of memory, which are all one.
aclError aclrtMallocWithCfg(void** address, size_t bytes, aclrtMemMallocPolicy policy,
                            aclrtMallocConfig* config) try {
    (void)config;
    return aclrtMalloc(address, bytes, policy);
}
ACL_CATCH

aclError aclrtMallocForTaskScheduler(void** address, size_t bytes, aclrtMemMallocPolicy policy,
                                     aclrtMallocConfig* config) try {
    return aclrtMallocWithCfg(address, bytes, policy, config);
}
ACL_CATCH

// The caches of a device do not exist, so that memory is always coherent.
aclError aclrtMemFlush(void* address, size_t bytes) try {
    ACL_ENTER();
    return check_live("devPtr", address, bytes);
}
ACL_CATCH

aclError aclrtMemInvalidate(void* address, size_t bytes) try {
    ACL_ENTER();
    return check_live("devPtr", address, bytes);
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

aclError aclrtFreeWithDevSync(void* address) try { return aclrtFree(address); }  // which waits
ACL_CATCH

aclError aclrtFreeHostWithDevSync(void* address) try {
    ACL_ENTER();
    const int refused = wait_for_device(current_device());
    return refused != 0 ? refused : free_block(address, BlockKind::pinned);
}
ACL_CATCH

aclError aclrtFreeHost(void* address) try {
    ACL_ENTER();
    return free_block(address, BlockKind::pinned);
}
ACL_CATCH

// The device can access all host memory, at its own addresses.
aclError aclrtHostRegister(void* address, uint64_t bytes, aclrtHostRegisterType type,
                           void** device_address) try {
    (void)type;
    ACL_ENTER();
    ACL_REQUIRE(address);
    ACL_REQUIRE(device_address);
    if (const int refused = register_host(address, bytes)) {
        return refused;
    }
    *device_address = address;
    return 0;
}
ACL_CATCH

aclError aclrtHostRegisterV2(void* address, uint64_t bytes, uint32_t flag) try {
    (void)flag;
    ACL_ENTER();
    ACL_REQUIRE(address);
    return register_host(address, bytes);
}
ACL_CATCH

aclError aclrtHostUnregister(void* address) try {
    ACL_ENTER();
    ACL_REQUIRE(address);
    return unregister_host(address);
}
ACL_CATCH

aclError aclrtHostGetDevicePointer(void* address, void** device_address, uint32_t flag) try {
    ACL_ENTER();
    ACL_REQUIRE(address);
    ACL_REQUIRE(device_address);
    BlockInfo block;
    if (flag != 0 ||
        !(is_registered(address) || (find_block(address, &block) && is_host_kind(block.kind)))) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "the address must be of host memory that is registered or pinned, and flag 0");
    }
    *device_address = address;
    return 0;
}
ACL_CATCH
