// Virtual memory, for torch_npu's expandable segments: a range of addresses is reserved, and
// physical memory is mapped into parts of it.
#pragma once

#include <cstddef>

#include "emulator/interface/handle.h"

namespace ascend_emulator {

/// What an aclrtDrvMemHandle points to: a size that counts against its device. The host provides
/// the memory when it is mapped.
struct PhysicalMemory {
    static constexpr auto handle_kind = HandleKind::physical_memory;

    PhysicalMemory(std::size_t its_bytes, int its_device, bool is_counted)
        : bytes(its_bytes), device(its_device), counted(is_counted) {}
    const std::size_t bytes;
    const int device;
    const bool counted;  // a leak if it is never freed
};

/// Allocate physical memory of the current device. 0 or a code.
int allocate_physical(void** handle, std::size_t bytes, bool counted);

/// The physical memory of a handle; null, with an error noted, if the handle is not a live one.
PhysicalMemory* physical_memory_of(void* handle);

void free_physical(PhysicalMemory* physical);

/// Reserve device addresses, in which map_range maps memory. 0 or a code.
int reserve_range(void** address, std::size_t bytes);
int release_range(void* address);

/// Map physical memory into a reserved range, where nothing is mapped yet. 0 or a code.
int map_range(void* address, std::size_t bytes, const PhysicalMemory& physical);
int unmap_range(void* address);

}  // namespace ascend_emulator
