#include "emulator/runtime/objects/virtual_memory.h"

#include <string>

#include "acl/acl_rt.h"
#include "emulator/checks/live_handles.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/memory.h"
#include "emulator/runtime/objects/window.h"

namespace ascend_emulator {
namespace {

/// Whether the range lies in a reserved one, in a part where nothing is mapped.
bool may_be_mapped(const void* address, std::size_t bytes) {
    BlockInfo block;
    return find_block(address, &block) && block.kind == BlockKind::reserved &&
           bytes <= block.bytes - static_cast<std::size_t>(static_cast<const char*>(address) -
                                                           static_cast<const char*>(block.begin));
}

}  // namespace

int allocate_physical(void** handle, std::size_t bytes, bool counted) {
    const int device = current_device();
    if (bytes == 0) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "size must be positive, got 0");
    }
    if (const int refused = take_from_device(device, bytes)) {
        return refused;
    }
    if (counted) {
        count_handle(HandleKind::physical_memory, 1);
    }
    *handle = make_handle<PhysicalMemory>(bytes, device, counted);
    return 0;
}

PhysicalMemory* physical_memory_of(void* handle) {
    auto* physical = static_cast<PhysicalMemory*>(handle);
    const std::string problem = why_unusable(physical);
    if (!problem.empty()) {
        fail(ACL_ERROR_RT_PARAM_INVALID, problem);
        return nullptr;
    }
    return physical;
}

void free_physical(PhysicalMemory* physical) {
    give_to_device(physical->device, physical->bytes);
    if (physical->counted) {
        count_handle(HandleKind::physical_memory, -1);
    }
    destroy_handle(physical);
}

int reserve_range(void** address, std::size_t bytes) {
    if (bytes == 0) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "size must be positive, got 0");
    }
    void* reserved = Window::instance().reserve(bytes);
    if (reserved == nullptr) {
        return fail(ACL_ERROR_RT_MEMORY_ALLOCATION,
                    "no range of " + std::to_string(bytes) +
                        " device addresses is left (ASCEND_EMULATOR_WINDOW_GB sets their number)");
    }
    add_block({reserved, bytes, BlockKind::reserved, current_device()});
    *address = reserved;
    return 0;
}

int release_range(void* address) {
    BlockInfo block;
    if (!remove_block(address, BlockKind::reserved, &block)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    address_text(address) + " must be the beginning of a reserved range");
    }
    Window::instance().release(address, block.bytes);
    return 0;
}

int map_range(void* address, std::size_t bytes, const PhysicalMemory& physical) {
    if (!may_be_mapped(address, bytes)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "the range must lie in a reserved one where nothing is mapped, got " +
                        std::to_string(bytes) + " bytes at " + address_text(address));
    }
    if (!Window::instance().make_usable(address, bytes)) {
        return fail(ACL_ERROR_RT_MEMORY_ALLOCATION, "the host has no memory left to map");
    }
    poison(address, bytes);
    add_block({address, bytes, BlockKind::mapped, physical.device});
    return 0;
}

int unmap_range(void* address) {
    BlockInfo block;
    if (!remove_block(address, BlockKind::mapped, &block)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "nothing is mapped at " + address_text(address));
    }
    Window::instance().make_unusable(address, block.bytes);
    return 0;
}

}  // namespace ascend_emulator
