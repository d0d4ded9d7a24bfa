// Blocks of memory: on devices, pinned on the host, and ranges of addresses that pages are mapped
// into. Freed blocks are remembered with the stack of the free.
#pragma once

#include <cstddef>
#include <string>

namespace ascend_emulator {

enum class BlockKind { device, pinned, reserved, mapped, mapped_host, imported };

/// Whether the memory is the host's.
inline bool is_host_kind(BlockKind kind) {
    return kind == BlockKind::pinned || kind == BlockKind::mapped_host;
}

struct BlockInfo {
    const void* begin = nullptr;
    std::size_t bytes = 0;
    BlockKind kind = BlockKind::device;
    int device = 0;
};

/// Allocate. 0 or a code. Device memory is poisoned and counts against the device's total.
int allocate_device(void** address, std::size_t bytes, int device);
int allocate_pinned(void** address, std::size_t bytes);

/// Count bytes against a device's total, or stop counting them. 0 or a code.
int take_from_device(int device, std::size_t bytes);
void give_to_device(int device, std::size_t bytes);

/// Free a block of `kind`, after waiting for the device's streams as a device does. 0 or a code.
int free_block(void* address, BlockKind kind);

/// Add or remove a block whose memory comes from elsewhere (virtual memory, IPC).
void add_block(const BlockInfo& block);
bool remove_block(const void* address, BlockKind kind, BlockInfo* removed);

/// Find the smallest live block that `address` lies in.
bool find_block(const void* address, BlockInfo* found);

/// Whether the address is one of device memory, which the host cannot access.
bool is_device_address(const void* address);

/// A message if [address, address + bytes) does not lie in one live block of a device, or "".
/// `found` becomes the block that holds the address, if there is one.
std::string why_not_live(const void* address, std::size_t bytes, BlockInfo* found = nullptr);

/// Fill new memory with 0xCB, so that reads before the first write show: -2.7e7 as fp32.
void poison(void* address, std::size_t bytes);

/// One line per live block, device and pinned, with the stack of its allocation.
std::string describe_live_blocks();

}  // namespace ascend_emulator
