#include "emulator/runtime/objects/memory.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <shared_mutex>

#include "acl/acl_rt.h"
#include "emulator/checks/races.h"
#include "emulator/checks/stack.h"
#include "emulator/interface/handle.h"
#include "emulator/options/options.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/ipc.h"
#include "emulator/runtime/objects/process_state.h"
#include "emulator/runtime/objects/window.h"

namespace ascend_emulator {
namespace {

constexpr std::size_t granule = 512;
constexpr std::size_t freed_remembered = 4096;

struct Block {
    BlockInfo info;
    Stack stack;  // of the allocation; of the free once it is freed
};

std::uintptr_t key_of(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }

bool contains(const BlockInfo& block, const void* address) {
    return key_of(address) - key_of(block.begin) < block.bytes;
}

/// Live and freed blocks by address. A mapped block lies inside a reserved one.
struct Blocks {
    std::shared_mutex mutex;
    std::map<std::uintptr_t, Block> live;
    std::map<std::uintptr_t, Block> ranges;  // reserved
    std::deque<Block> freed;

    std::map<std::uintptr_t, Block>& of(BlockKind kind) {
        return kind == BlockKind::reserved ? ranges : live;
    }
};

Blocks& blocks() {
    static auto* const all = new Blocks;
    return *all;
}

const Block* find_in(const std::map<std::uintptr_t, Block>& in, const void* address) {
    auto after = in.upper_bound(key_of(address));
    if (after == in.begin()) {
        return nullptr;
    }
    const Block& block = std::prev(after)->second;
    return contains(block.info, address) ? &block : nullptr;
}

std::string position_text(const BlockInfo& block, const void* address) {
    return std::to_string(key_of(address) - key_of(block.begin)) + " bytes into a block of " +
           std::to_string(block.bytes) + " bytes";
}

}  // namespace

int take_from_device(int device, std::size_t bytes) {
    DeviceState& state = device_state(device);
    const std::lock_guard<std::mutex> lock(state.mutex);
    const std::size_t total = total_memory();
    if (bytes > total - state.used) {
        return fail(ACL_ERROR_RT_MEMORY_ALLOCATION,
                    "device " + std::to_string(device) +
                        " is out of memory: " + std::to_string(bytes) + " bytes requested, " +
                        std::to_string(state.used) + " of " + std::to_string(total) +
                        " used (ASCEND_EMULATOR_MEMORY_MB sets the total)");
    }
    state.used += bytes;
    state.peak = std::max(state.peak, state.used);
    return 0;
}

void give_to_device(int device, std::size_t bytes) {
    DeviceState& state = device_state(device);
    const std::lock_guard<std::mutex> lock(state.mutex);
    state.used -= bytes;
}

void poison(void* address, std::size_t bytes) {
    if (options().poison) {
        std::memset(Window::instance().bytes_of(address), 0xCB, bytes);
    }
}

int allocate_device(void** address, std::size_t bytes, int device) {
    if (bytes <= total_memory()) {  // more is refused, and rounding up must not overflow
        bytes = (bytes + granule - 1) / granule * granule;
    }
    if (const int refused = take_from_device(device, bytes)) {
        return refused;
    }
    Window& window = Window::instance();
    void* reserved = window.reserve(bytes);
    if (reserved == nullptr || !window.make_usable(reserved, bytes)) {
        give_to_device(device, bytes);
        return fail(ACL_ERROR_RT_MEMORY_ALLOCATION,
                    "no device addresses or host memory are left for " + std::to_string(bytes) +
                        " bytes (ASCEND_EMULATOR_WINDOW_GB sets the addresses)");
    }
    poison(reserved, bytes);
    add_block({reserved, bytes, BlockKind::device, device});
    *address = reserved;
    return 0;
}

int allocate_pinned(void** address, std::size_t bytes) {
    static const std::size_t of_host =
        static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(getpagesize());
    if (bytes > of_host || posix_memalign(address, 4096, bytes) != 0) {
        return fail(ACL_ERROR_RT_MEMORY_ALLOCATION,
                    "the host cannot pin " + std::to_string(bytes) + " bytes");
    }
    poison(*address, bytes);
    add_block({*address, bytes, BlockKind::pinned, 0});
    return 0;
}

int free_block(void* address, BlockKind kind) {
    BlockInfo block;
    if (kind == BlockKind::device && find_block(address, &block)) {
        if (const int refused = wait_for_device(block.device)) {
            return refused;
        }
    }
    if (!remove_block(address, kind, &block)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "cannot free " + address_text(address) + ": " + why_not_live(address, 1));
    }
    if (kind == BlockKind::device) {
        end_export(address);
        Window::instance().release(address, block.bytes);
        give_to_device(block.device, block.bytes);
    } else {
        std::free(address);
    }
    return 0;
}

void add_block(const BlockInfo& block) {
    watch_forks();
    Block added{block, Stack::here()};
    const std::unique_lock<std::shared_mutex> lock(blocks().mutex);
    blocks().of(block.kind).insert_or_assign(key_of(block.begin), added);
}

bool remove_block(const void* address, BlockKind kind, BlockInfo* removed) {
    Blocks& all = blocks();
    const std::unique_lock<std::shared_mutex> lock(all.mutex);
    auto& in = all.of(kind);
    const auto found = in.find(key_of(address));
    if (found == in.end() || found->second.info.kind != kind) {
        return false;
    }
    *removed = found->second.info;
    if (options().races) {
        forget_accesses(address, removed->bytes);
    }
    all.freed.push_back({found->second.info, Stack::here()});
    if (all.freed.size() > freed_remembered) {
        all.freed.pop_front();
    }
    in.erase(found);
    return true;
}

bool find_block(const void* address, BlockInfo* found) {
    Blocks& all = blocks();
    const std::shared_lock<std::shared_mutex> lock(all.mutex);
    const Block* block = find_in(all.live, address);
    if (block == nullptr) {
        block = find_in(all.ranges, address);
    }
    if (block != nullptr) {
        *found = block->info;
    }
    return block != nullptr;
}

bool is_device_address(const void* address) {
    BlockInfo block;
    return Window::instance().holds(address) &&
           !(find_block(address, &block) && is_host_kind(block.kind));
}

namespace {

/// A message if the range ends behind the block. Mapped blocks without a gap between them count as
/// one.
std::string why_overrun(const Blocks& all, const Block& first, const void* address,
                        std::size_t bytes) {
    std::uintptr_t end = 0;
    const bool overflows = __builtin_add_overflow(key_of(address), bytes, &end);
    const Block* block = &first;
    while (overflows || end > key_of(block->info.begin) + block->info.bytes) {
        const auto next = all.live.find(key_of(block->info.begin) + block->info.bytes);
        if ((block->info.kind != BlockKind::mapped && block->info.kind != BlockKind::mapped_host) ||
            next == all.live.end() || overflows) {
            return std::to_string(bytes) + " bytes at " + address_text(address) +
                   " reach past the end of their block: " + position_text(first.info, address);
        }
        block = &next->second;
    }
    return {};
}

}  // namespace

std::string why_not_live(const void* address, std::size_t bytes, BlockInfo* found) {
    Blocks& all = blocks();
    const std::shared_lock<std::shared_mutex> lock(all.mutex);
    if (const Block* block = find_in(all.live, address)) {
        if (found != nullptr) {
            *found = block->info;
        }
        return why_overrun(all, *block, address, bytes);
    }
    for (auto freed = all.freed.rbegin(); freed != all.freed.rend(); ++freed) {
        if (contains(freed->info, address)) {
            return address_text(address) + " is freed memory, " +
                   position_text(freed->info, address) + ". The block was freed by:\n" +
                   freed->stack.text();
        }
    }
    if (find_in(all.ranges, address) != nullptr) {
        return address_text(address) + " lies in a reserved range where no memory is mapped";
    }
    if (Window::instance().holds(address)) {
        return address_text(address) + " is a device address outside all allocations";
    }
    return address_text(address) + " is not an address that AscendCL returned";
}

std::string describe_live_blocks() {
    Blocks& all = blocks();
    const std::shared_lock<std::shared_mutex> lock(all.mutex);
    std::string text;
    for (const auto& [begin, block] : all.live) {
        if ((block.info.kind == BlockKind::device || block.info.kind == BlockKind::pinned) &&
            !block.stack.is_of_torch_npu()) {
            const bool pinned = block.info.kind == BlockKind::pinned;
            text += "  " + std::to_string(block.info.bytes) + " bytes of " +
                    (pinned ? "pinned memory" : "device " + std::to_string(block.info.device)) +
                    " at " + address_text(block.info.begin) + ", allocated by:\n" +
                    block.stack.text();
        }
    }
    return text;
}

}  // namespace ascend_emulator
