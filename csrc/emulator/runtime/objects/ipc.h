// Memory shared between processes. It lies in the unnamed file of the exporter's window, which the
// importer opens through /proc and maps. Nothing is left behind, however a process ends.
#pragma once

#include <cstddef>
#include <string>

#include "emulator/runtime/objects/window.h"

namespace ascend_emulator {

/// What identifies an export: the process, and its descriptor of the file that describes it. The
/// number distinguishes exports of a process, as descriptors are reused.
struct ExportKey {
    int process = 0;
    int file = 0;
    unsigned number = 0;
};

/// Pages of another process; the file's descriptor belongs to the caller.
struct ImportedPages {
    Pages pages;
    std::size_t bytes = 0;
};

/// Share pages until end_export is called with the same address. 0 or a code.
int export_pages(const void* address, std::size_t bytes, const Pages& pages, ExportKey* key);

/// Stop sharing what was exported with this address, which is being freed: its key cannot be
/// imported any more.
void end_export(const void* address);

/// Open the pages of a key, which `text` shows in messages. 0 or a code.
int import_pages(const ExportKey& key, const std::string& text, ImportedPages* imported);

/// Write the key by which other processes import the block at `address` into `key`. 0 or a code.
int export_block(const void* address, char* key, std::size_t capacity);

/// Map the memory of a key; sets `address` to where. 0 or a code.
int import_block(void** address, const char* key);

/// Unmap what was imported by the key, after waiting for the device; nothing if this process
/// exported it. 0 or a code.
int close_import(const char* key);

}  // namespace ascend_emulator
