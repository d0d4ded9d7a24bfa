// Virtual memory, for torch_npu's expandable segments: a range of addresses is reserved, and
// physical memory is mapped into parts of it.
#pragma once

#include <cstddef>
#include <memory>

#include "acl/acl_rt.h"
#include "emulator/interface/handle.h"
#include "emulator/runtime/objects/window.h"

namespace ascend_emulator {

/// Where physical memory lies: on the device `device`, which its bytes count against, or on the
/// host. Imported memory counts in the process that allocated it.
class PhysicalPages {
  public:
    PhysicalPages(std::size_t bytes, int device, bool on_host, Pages pages, void* home);
    ~PhysicalPages();
    PhysicalPages(const PhysicalPages&) = delete;
    PhysicalPages& operator=(const PhysicalPages&) = delete;

    std::size_t bytes() const { return bytes_; }
    int device() const { return device_; }
    bool on_host() const { return on_host_; }
    const Pages& pages() const { return pages_; }
    /// Reserved addresses of the window, whose pages these are; null if they are imported.
    const void* home() const { return home_; }

  private:
    const std::size_t bytes_;
    const int device_;
    const bool on_host_;
    const Pages pages_;
    void* const home_;
};

/// What an aclrtDrvMemHandle points to. Mappings share the pages, which are released with the last
/// of them or with the last handle.
struct PhysicalMemory {
    static constexpr auto handle_kind = HandleKind::physical_memory;

    PhysicalMemory(std::shared_ptr<PhysicalPages> its_pages, bool is_counted)
        : pages(std::move(its_pages)), counted(is_counted) {}
    const std::shared_ptr<PhysicalPages> pages;
    const bool counted;  // a leak if it is never freed
};

/// Allocate physical memory of the current device, or of the host. 0 or a code.
int allocate_physical(void** handle, std::size_t bytes, const aclrtPhysicalMemProp& properties,
                      bool counted);

/// The physical memory of a handle; null, with an error noted, if the handle is not a live one.
PhysicalMemory* physical_memory_of(void* handle);

void free_physical(PhysicalMemory* physical);

/// A key by which another process imports the memory. 0 or a code.
int export_physical(const PhysicalMemory& physical, std::uint64_t* key);
int import_physical(void** handle, std::uint64_t key, int device, bool counted);

/// Create another handle of what is mapped at the address. 0 or a code.
int retain_physical(void** handle, const void* address, bool counted);

/// Reserve device addresses, in which map_range maps memory. 0 or a code.
int reserve_range(void** address, std::size_t bytes);
int release_range(void* address);

/// Map physical memory, from an offset of it on, into a reserved range where nothing is mapped yet.
/// The host can access memory of the host at these addresses. 0 or a code.
int map_range(void* address, std::size_t bytes, std::size_t offset, const PhysicalMemory& physical);
int unmap_range(void* address);

}  // namespace ascend_emulator
