#include "emulator/runtime/objects/ipc.h"

#include <unistd.h>

#include <cstdio>
#include <map>
#include <mutex>

#include "acl/acl_rt.h"
#include "emulator/interface/handle.h"
#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/memory.h"
#include "emulator/runtime/objects/unnamed_file.h"

namespace ascend_emulator {
namespace {

constexpr unsigned export_number_mask = 0x3FFFFF;
constexpr const char* export_file_name = "emulated NPU export";

/// The content of an export's file. The file is closed when the memory is freed.
struct Description {
    Pages pages;  // the file as the exporter's descriptor
    std::size_t bytes;
    unsigned number;
};

struct Export {
    int file;
    unsigned number;
};

struct Sharing {
    std::mutex mutex;
    std::map<const void*, Export> exported;  // by address
    unsigned exports = 0;
    std::map<std::string, const void*> imported;  // key -> block here
};

Sharing& sharing() {
    static auto* const only = new Sharing;
    return *only;
}

/// Create the file that describes an export. Returns its descriptor, or -1.
int describe(const Description& description) {
    const int file = create_unnamed_file(export_file_name, 0);
    if (file >= 0 && pwrite(file, &description, sizeof description, 0) != sizeof description) {
        close(file);
        return -1;
    }
    return file;
}

int refuse_key(const std::string& key, const char* why) {
    return fail(ACL_ERROR_RT_PARAM_INVALID,
                "the memory of key '" + key + "' cannot be imported: " + why);
}

}  // namespace

int export_pages(const void* address, std::size_t bytes, const Pages& pages, ExportKey* key) {
    Sharing& all = sharing();
    const std::lock_guard<std::mutex> lock(all.mutex);
    auto found = all.exported.find(address);
    if (found == all.exported.end()) {
        const unsigned number = all.exports++ & export_number_mask;
        const int file = describe({pages, bytes, number});
        if (file < 0) {
            return fail(ACL_ERROR_RT_MEMORY_ALLOCATION,
                        "the host has no memory or file descriptor for sharing the block");
        }
        found = all.exported.emplace(address, Export{file, number}).first;
    }
    *key = {getpid(), found->second.file, found->second.number};
    return 0;
}

void end_export(const void* address) {
    Sharing& all = sharing();
    const std::lock_guard<std::mutex> lock(all.mutex);
    const auto found = all.exported.find(address);
    if (found != all.exported.end()) {
        close(found->second.file);
        all.exported.erase(found);
    }
}

int import_pages(const ExportKey& key, const std::string& text, ImportedPages* imported) {
    const int described = open_unnamed_file(key.process, key.file, export_file_name);
    Description description;
    const bool found =
        described >= 0 &&
        pread(described, &description, sizeof description, 0) == sizeof description &&
        description.number == key.number;
    if (described >= 0) {
        close(described);
    }
    const int file =
        found ? open_unnamed_file(key.process, description.pages.file, window_file_name) : -1;
    if (file < 0) {
        return refuse_key(text,
                          "the process that exported it has ended, belongs to another user, or has "
                          "freed the memory");
    }
    *imported = {{file, description.pages.offset}, description.bytes};
    return 0;
}

int export_block(const void* address, char* key, std::size_t capacity) {
    BlockInfo block;
    if (!find_block(address, &block) || block.begin != address || block.kind != BlockKind::device) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    address_text(address) + " must be the beginning of a block of device memory");
    }
    ExportKey exported;
    if (const int code =
            export_pages(address, block.bytes, Window::instance().pages_of(address), &exported)) {
        return code;
    }
    std::snprintf(key, capacity, "emulated-%d-%d-%u", exported.process, exported.file,
                  exported.number);
    return 0;
}

int import_block(void** address, const char* key) {
    ExportKey exported;
    if (std::sscanf(key, "emulated-%d-%d-%u", &exported.process, &exported.file,
                    &exported.number) != 3) {
        return refuse_key(key, "it is not a key of the emulator");
    }
    ImportedPages imported;
    if (const int code = import_pages(exported, key, &imported)) {
        return code;
    }
    Window& window = Window::instance();
    void* reserved = window.reserve(imported.bytes);
    const bool mapped =
        reserved != nullptr && window.map_pages(reserved, imported.bytes, imported.pages);
    close(imported.pages.file);
    if (!mapped) {
        return refuse_key(key, "no device addresses are left (ASCEND_EMULATOR_WINDOW_GB)");
    }
    add_block({reserved, imported.bytes, BlockKind::imported, current_device()});
    Sharing& all = sharing();
    const std::lock_guard<std::mutex> lock(all.mutex);
    all.imported[key] = reserved;
    *address = reserved;
    return 0;
}

int close_import(const char* key) {
    Sharing& all = sharing();
    const void* address = nullptr;
    {
        const std::lock_guard<std::mutex> lock(all.mutex);
        const auto found = all.imported.find(key);
        if (found == all.imported.end()) {
            return 0;  // exported by this process: it is unmapped with the block
        }
        address = found->second;
        all.imported.erase(found);
    }
    BlockInfo block;
    if (find_block(address, &block)) {
        if (const int refused = wait_for_device(block.device)) {
            return refused;
        }
    }
    if (remove_block(address, BlockKind::imported, &block)) {
        Window::instance().release(const_cast<void*>(block.begin), block.bytes);
    }
    return 0;
}

}  // namespace ascend_emulator
