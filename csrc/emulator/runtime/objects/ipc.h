// Memory shared between processes: an exported block moves into an unnamed file, which the
// importer opens through /proc. Nothing is left behind, however a process ends.
#pragma once

#include <cstddef>

namespace ascend_emulator {

/// Write the key by which other processes import the block at `address` into `key`. 0 or a code.
int export_block(const void* address, char* key, std::size_t capacity);

/// Stop sharing the block at `address`, which is being freed: its key cannot be imported any more.
void end_export(const void* address);

/// Map the memory of a key; sets `address` to where. 0 or a code.
int import_block(void** address, const char* key);

/// Unmap what was imported by the key; nothing if this process exported it.
void close_import(const char* key);

}  // namespace ascend_emulator
