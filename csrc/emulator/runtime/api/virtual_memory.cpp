// Virtual memory, for torch_npu's expandable segments: a range of addresses is reserved, and
// physical memory is mapped into parts of it.
#include "acl/acl_rt.h"
#include "emulator/checks/live_handles.h"
#include "emulator/checks/stack.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/memory.h"
#include "emulator/runtime/objects/window.h"

namespace ascend_emulator {
namespace {

/// What an aclrtDrvMemHandle points to: a size that counts against its device. The host's memory
/// is taken when it is mapped.
struct Physical : Handle {
    Physical(std::size_t its_bytes, int its_device, bool is_counted)
        : Handle(HandleKind::physical_memory),
          bytes(its_bytes),
          device(its_device),
          counted(is_counted) {}
    const std::size_t bytes;
    const int device;
    const bool counted;  // a leak where it is not freed
};

/// Null, with an error noted, where the handle is no live physical memory.
Physical* physical_of(aclrtDrvMemHandle handle) {
    auto* physical = static_cast<Physical*>(handle);
    const std::string problem = why_unusable(physical, HandleKind::physical_memory);
    if (!problem.empty()) {
        fail(ACL_ERROR_RT_PARAM_INVALID, problem);
        return nullptr;
    }
    return physical;
}

/// Whether the range lies in a reserved one, in a part where nothing is mapped.
bool may_be_mapped(const void* address, std::size_t bytes) {
    BlockInfo block;
    return find_block(address, &block) && block.kind == BlockKind::reserved &&
           static_cast<const char*>(address) + bytes <=
               static_cast<const char*>(block.begin) + block.bytes;
}

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
    const int device = current_device();
    if (const int refused = take_from_device(device, bytes)) {
        return refused;
    }
    const bool counted = !is_torch_npu(__builtin_return_address(0));
    if (counted) {
        count_handle(HandleKind::physical_memory, 1);
    }
    *handle = new Physical(bytes, device, counted);
    return 0;
}

aclError aclrtFreePhysical(aclrtDrvMemHandle handle) {
    ACL_ENTER();
    static auto* const quarantine = new Quarantine<Physical>;
    Physical* physical = physical_of(handle);
    if (physical == nullptr) {
        return ACL_ERROR_RT_PARAM_INVALID;
    }
    give_to_device(physical->device, physical->bytes);
    if (physical->counted) {
        count_handle(HandleKind::physical_memory, -1);
    }
    quarantine->put(physical);
    return 0;
}

aclError aclrtMapMem(void* address, size_t bytes, size_t offset, aclrtDrvMemHandle handle,
                     uint64_t flags) {
    (void)offset;
    (void)flags;
    ACL_ENTER();
    const Physical* physical = physical_of(handle);
    if (physical == nullptr) {
        return ACL_ERROR_RT_PARAM_INVALID;
    }
    if (!may_be_mapped(address, bytes)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    std::to_string(bytes) + " bytes at " + to_text(address) +
                        " are not in a reserved range, or something is mapped there");
    }
    if (!Window::instance().make_usable(address, bytes)) {
        return fail(ACL_ERROR_RT_MEMORY_ALLOCATION, "the host has no memory to map");
    }
    poison(address, bytes);
    add_block({address, bytes, BlockKind::mapped, physical->device});
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
