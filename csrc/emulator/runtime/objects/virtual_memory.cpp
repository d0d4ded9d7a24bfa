#include "emulator/runtime/objects/virtual_memory.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>

#include "emulator/checks/live_handles.h"
#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/ipc.h"
#include "emulator/runtime/objects/memory.h"

namespace ascend_emulator {
namespace {

/// What is mapped, by address.
struct Mappings {
    std::mutex mutex;
    std::map<const void*, std::shared_ptr<PhysicalPages>> pages;
};

Mappings& mappings() {
    static auto* const all = new Mappings;
    return *all;
}

/// Whether the range lies in a reserved one, in a part where nothing is mapped.
bool may_be_mapped(const void* address, std::size_t bytes) {
    BlockInfo block;
    return find_block(address, &block) && block.kind == BlockKind::reserved &&
           bytes <= block.bytes - static_cast<std::size_t>(static_cast<const char*>(address) -
                                                           static_cast<const char*>(block.begin));
}

/// An export's key as the 64 bits of a shareable handle. Linux has at most 2^22 processes, and a
/// process at most 2^20 descriptors.
std::uint64_t pack(const ExportKey& key) {
    return static_cast<std::uint64_t>(key.process) << 42 |
           static_cast<std::uint64_t>(key.file) << 22 | key.number;
}

ExportKey unpack(std::uint64_t key) {
    return {static_cast<int>(key >> 42), static_cast<int>(key >> 22 & 0xFFFFF),
            static_cast<unsigned>(key & 0x3FFFFF)};
}

bool is_on_host(const aclrtPhysicalMemProp& properties) {
    return properties.location.type == ACL_MEM_LOCATION_TYPE_HOST ||
           properties.location.type == ACL_MEM_LOCATION_TYPE_HOST_NUMA;
}

void* make_physical(std::shared_ptr<PhysicalPages> pages, bool counted) {
    if (counted) {
        count_handle(HandleKind::physical_memory, 1);
    }
    return make_handle<PhysicalMemory>(std::move(pages), counted);
}

/// Take addresses whose pages become the memory. Null, with an error noted, if none are left.
void* take_home(std::size_t bytes) {
    Window& window = Window::instance();
    void* home = window.reserve(bytes);
    if (home == nullptr || !window.make_usable(home, bytes)) {
        fail(ACL_ERROR_RT_MEMORY_ALLOCATION,
             "no device addresses or host memory are left for " + std::to_string(bytes) +
                 " bytes (ASCEND_EMULATOR_WINDOW_GB sets the addresses)");
        return nullptr;
    }
    poison(home, bytes);
    window.make_unusable(home, bytes);
    return home;
}

}  // namespace

PhysicalPages::PhysicalPages(std::size_t bytes, int device, bool on_host, Pages pages, void* home)
    : bytes_(bytes), device_(device), on_host_(on_host), pages_(pages), home_(home) {}

PhysicalPages::~PhysicalPages() {
    if (home_ == nullptr) {
        close(pages_.file);
        return;
    }
    end_export(home_);
    Window::instance().release(home_, bytes_);
    if (!on_host_) {
        give_to_device(device_, bytes_);
    }
}

int allocate_physical(void** handle, std::size_t bytes, const aclrtPhysicalMemProp& properties,
                      bool counted) {
    const int device = current_device();
    const bool on_host = is_on_host(properties);
    if (bytes == 0) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "size must be positive, got 0");
    }
    if (const int refused = on_host ? 0 : take_from_device(device, bytes)) {
        return refused;
    }
    void* home = take_home(bytes);
    if (home == nullptr) {
        if (!on_host) {
            give_to_device(device, bytes);
        }
        return ACL_ERROR_RT_MEMORY_ALLOCATION;
    }
    *handle = make_physical(std::make_shared<PhysicalPages>(
                                bytes, device, on_host, Window::instance().pages_of(home), home),
                            counted);
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
    if (physical->counted) {
        count_handle(HandleKind::physical_memory, -1);
    }
    destroy_handle(physical);
}

int export_physical(const PhysicalMemory& physical, std::uint64_t* key) {
    const PhysicalPages& pages = *physical.pages;
    if (pages.home() == nullptr) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "the handle must be one that this process allocated, got an imported one");
    }
    ExportKey exported;
    if (const int code = export_pages(pages.home(), pages.bytes(), pages.pages(), &exported)) {
        return code;
    }
    *key = pack(exported);
    return 0;
}

int import_physical(void** handle, std::uint64_t key, int device, bool counted) {
    ImportedPages imported;
    if (const int code = import_pages(unpack(key), std::to_string(key), &imported)) {
        return code;
    }
    *handle = make_physical(
        std::make_shared<PhysicalPages>(imported.bytes, device, false, imported.pages, nullptr),
        counted);
    return 0;
}

int retain_physical(void** handle, const void* address, bool counted) {
    Mappings& all = mappings();
    const std::lock_guard<std::mutex> lock(all.mutex);
    const auto found = all.pages.find(address);
    if (found == all.pages.end()) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "nothing is mapped at " + address_text(address));
    }
    *handle = make_physical(found->second, counted);
    return 0;
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

int map_range(void* address, std::size_t bytes, std::size_t offset,
              const PhysicalMemory& physical) {
    const PhysicalPages& memory = *physical.pages;
    if (!may_be_mapped(address, bytes)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "the range must lie in a reserved one where nothing is mapped, got " +
                        std::to_string(bytes) + " bytes at " + address_text(address));
    }
    if (offset > memory.bytes() || bytes > memory.bytes() - offset) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "size must be at most the physical memory's from the offset on, " +
                        std::to_string(memory.bytes() - std::min(offset, memory.bytes())) +
                        ", got " + std::to_string(bytes));
    }
    const Pages pages{memory.pages().file, memory.pages().offset + offset};
    Window& window = Window::instance();
    if (!window.map_pages(address, bytes, pages) ||
        (memory.on_host() && !window.open_to_host(address, bytes, pages))) {
        return fail(ACL_ERROR_RT_MEMORY_ALLOCATION, "the host has no memory left to map");
    }
    const BlockKind kind = memory.on_host() ? BlockKind::mapped_host : BlockKind::mapped;
    add_block({address, bytes, kind, memory.device()});
    const std::lock_guard<std::mutex> lock(mappings().mutex);
    mappings().pages[address] = physical.pages;
    return 0;
}

int unmap_range(void* address) {
    BlockInfo block;
    if (!remove_block(address, BlockKind::mapped, &block) &&
        !remove_block(address, BlockKind::mapped_host, &block)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "nothing is mapped at " + address_text(address));
    }
    Window::instance().make_unusable(address, block.bytes);
    if (block.kind == BlockKind::mapped_host) {
        Window::instance().close_to_host(address, block.bytes);
    }
    std::shared_ptr<PhysicalPages> unmapped;  // released without the lock
    const std::lock_guard<std::mutex> lock(mappings().mutex);
    const auto found = mappings().pages.find(address);
    unmapped = std::move(found->second);
    mappings().pages.erase(found);
    return 0;
}

}  // namespace ascend_emulator
