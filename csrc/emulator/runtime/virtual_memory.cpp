// Virtual memory, for torch_npu's expandable segments: a range of addresses is reserved, and
// physical memory is mapped into parts of it.
#include "acl/acl_rt.h"
#include "runtime/device.h"
#include "runtime/entry.h"
#include "runtime/error.h"
#include "runtime/memory.h"
#include "runtime/window.h"

namespace ascend_emulator {
namespace {

/// What an aclrtDrvMemHandle points to: a size that counts against its device. The host's memory
/// is taken when it is mapped.
struct Physical {
    std::size_t bytes;
    int device;
};

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

aclError aclrtReserveMemAddress(void** address, size_t bytes, size_t alignment, void* expected,
                                uint64_t flags) {
    (void)alignment;
    (void)expected;
    (void)flags;
    ACL_ENTER();
    void* reserved = Window::instance().reserve(bytes);
    if (reserved == nullptr) {
        return fail(ACL_ERROR_RT_MEMORY_ALLOCATION,
                    "no range of " + std::to_string(bytes) +
                        " device addresses is left (ASCEND_EMULATOR_WINDOW_GB)");
    }
    add_block({reserved, bytes, BlockKind::reserved, current_device()});
    *address = reserved;
    return 0;
}

aclError aclrtReleaseMemAddress(void* address) {
    ACL_ENTER();
    BlockInfo block;
    if (!remove_block(address, BlockKind::reserved, &block)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, to_text(address) + " is no reserved range");
    }
    Window::instance().release(address, block.bytes);
    return 0;
}

aclError aclrtMallocPhysical(aclrtDrvMemHandle* handle, size_t bytes,
                             const aclrtPhysicalMemProp* properties, uint64_t flags) {
    (void)properties;
    (void)flags;
    ACL_ENTER();
    DeviceState& state = device_state(current_device());
    const std::lock_guard<std::mutex> lock(state.mutex);
    if (state.used + bytes > total_memory()) {
        return fail(ACL_ERROR_RT_MEMORY_ALLOCATION,
                    "device " + std::to_string(state.id) + " is out of memory");
    }
    state.used += bytes;
    *handle = new Physical{bytes, state.id};
    return 0;
}

aclError aclrtFreePhysical(aclrtDrvMemHandle handle) {
    ACL_ENTER();
    auto* physical = static_cast<Physical*>(handle);
    DeviceState& state = device_state(physical->device);
    const std::lock_guard<std::mutex> lock(state.mutex);
    state.used -= physical->bytes;
    delete physical;
    return 0;
}

aclError aclrtMapMem(void* address, size_t bytes, size_t offset, aclrtDrvMemHandle handle,
                     uint64_t flags) {
    (void)offset;
    (void)flags;
    ACL_ENTER();
    if (!Window::instance().make_usable(address, bytes)) {
        return fail(ACL_ERROR_RT_MEMORY_ALLOCATION, "the host has no memory to map");
    }
    poison(address, bytes);
    add_block({address, bytes, BlockKind::mapped, static_cast<Physical*>(handle)->device});
    return 0;
}

aclError aclrtUnmapMem(void* address) {
    ACL_ENTER();
    BlockInfo block;
    if (!remove_block(address, BlockKind::mapped, &block)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "nothing is mapped at " + to_text(address));
    }
    Window::instance().make_unusable(address, block.bytes);
    return 0;
}
