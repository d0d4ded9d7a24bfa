// Blocks of memory: of devices, pinned on the host, and ranges of addresses that pages are mapped
// into. What was freed is remembered, with the stack of the free.
#pragma once

#include <cstddef>
#include <string>

namespace ascend_emulator {

enum class BlockKind { device, pinned, reserved, mapped, imported };

struct BlockInfo {
    const void* begin = nullptr;
    std::size_t bytes = 0;
    BlockKind kind = BlockKind::device;
    int device = 0;
};

/// 0 or a code. Device memory is poisoned and counts against the device's total.
int allocate_device(void** address, std::size_t bytes, int device);
int allocate_pinned(void** address, std::size_t bytes);

/// Counts bytes against a device's total, or no more. 0 or a code.
int take_from_device(int device, std::size_t bytes);
void give_to_device(int device, std::size_t bytes);

/// Frees a block of `kind`; waits for the device's streams first, as a device does.
int free_block(void* address, BlockKind kind);

/// For blocks whose memory comes from elsewhere (virtual memory, IPC).
void add_block(const BlockInfo& block);
bool remove_block(const void* address, BlockKind kind, BlockInfo* removed);

/// The smallest live block that `address` lies in.
bool find_block(const void* address, BlockInfo* found);

/// "", or why [address, address + bytes) is not in one live block of a device; `found` is the block
/// that holds the address, where one does.
std::string why_not_live(const void* address, std::size_t bytes, BlockInfo* found = nullptr);

/// Fills new memory with 0xCB, so that reading it before writing shows: -2.7e7 as fp32.
void poison(void* address, std::size_t bytes);

/// A line a live device block and a count of pinned ones, for the report at exit.
std::string describe_live_blocks();

}  // namespace ascend_emulator
