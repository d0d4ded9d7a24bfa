#include "emulator/runtime/objects/ipc.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "acl/acl_rt.h"
#include "emulator/interface/handle.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/memory.h"
#include "emulator/runtime/objects/window.h"

namespace ascend_emulator {
namespace {

constexpr const char* file_name = "emulated NPU memory";

struct Export {
    int file;
    long number;  // distinguishes exports, as descriptors are reused
};

struct Sharing {
    std::mutex mutex;
    std::map<const void*, Export> exported;  // by block
    long exports = 0;
    std::map<std::string, const void*> imported;  // key -> block here
};

Sharing& sharing() {
    static auto* const only = new Sharing;
    return *only;
}

/// Move the block's bytes into a file and map it in their place. Returns its descriptor, or -1.
int move_to_file(const BlockInfo& block) {
    const int descriptor = memfd_create(file_name, MFD_CLOEXEC);
    void* address = const_cast<void*>(block.begin);
    const char* bytes = static_cast<char*>(Window::instance().bytes_of(address));
    const bool moved =
        descriptor >= 0 && ftruncate(descriptor, static_cast<off_t>(block.bytes)) == 0 &&
        pwrite(descriptor, bytes, block.bytes, 0) == static_cast<ssize_t>(block.bytes) &&
        Window::instance().map_file(address, block.bytes, descriptor);
    if (!moved && descriptor >= 0) {
        close(descriptor);
    }
    return moved ? descriptor : -1;
}

int refuse_key(const char* key, const char* why) {
    return fail(ACL_ERROR_RT_PARAM_INVALID,
                "the memory of key '" + std::string(key) + "' cannot be imported: " + why);
}

/// Open the file of a key. Returns -1 if the process does not have it under that descriptor any
/// more.
int open_export(int pid, int descriptor, std::size_t bytes) {
    const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(descriptor);
    char name[256] = {};
    struct stat status;
    if (readlink(path.c_str(), name, sizeof name - 1) < 0 ||
        std::strstr(name, file_name) == nullptr) {
        return -1;
    }
    const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file >= 0 &&
        (fstat(file, &status) != 0 || static_cast<std::size_t>(status.st_size) != bytes)) {
        close(file);
        return -1;
    }
    return file;
}

}  // namespace

int export_block(const void* address, char* key, std::size_t capacity) {
    BlockInfo block;
    if (!find_block(address, &block) || block.begin != address) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    address_text(address) + " must be the beginning of a block of device memory");
    }
    synchronize_device(block.device, -1);
    Sharing& all = sharing();
    const std::lock_guard<std::mutex> lock(all.mutex);
    auto found = all.exported.find(address);
    if (found == all.exported.end()) {
        const int file = move_to_file(block);
        if (file < 0) {
            return fail(ACL_ERROR_RT_MEMORY_ALLOCATION,
                        "the host has no memory for sharing the block");
        }
        found = all.exported.emplace(address, Export{file, all.exports++}).first;
    }
    const auto& [file, number] = found->second;
    std::snprintf(key, capacity, "emulated-%d-%d-%zu-%ld", getpid(), file, block.bytes, number);
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

int import_block(void** address, const char* key) {
    int pid = 0;
    int descriptor = 0;
    std::size_t bytes = 0;
    if (std::sscanf(key, "emulated-%d-%d-%zu-", &pid, &descriptor, &bytes) != 3) {
        return refuse_key(key, "it is not a key of the emulator");
    }
    const int file = open_export(pid, descriptor, bytes);
    if (file < 0) {
        return refuse_key(key,
                          "the process that exported it has ended, belongs to another user, or has "
                          "freed the memory");
    }
    void* reserved = Window::instance().reserve(bytes);
    const bool mapped = reserved != nullptr && Window::instance().map_file(reserved, bytes, file);
    close(file);
    if (!mapped) {
        return refuse_key(key, "no device addresses are left (ASCEND_EMULATOR_WINDOW_GB)");
    }
    add_block({reserved, bytes, BlockKind::imported, current_device()});
    Sharing& all = sharing();
    const std::lock_guard<std::mutex> lock(all.mutex);
    all.imported[key] = reserved;
    *address = reserved;
    return 0;
}

void close_import(const char* key) {
    Sharing& all = sharing();
    const std::lock_guard<std::mutex> lock(all.mutex);
    const auto found = all.imported.find(key);
    if (found == all.imported.end()) {
        return;  // exported by this process: it is unmapped with the block
    }
    BlockInfo block;
    if (remove_block(found->second, BlockKind::imported, &block)) {
        Window::instance().release(const_cast<void*>(block.begin), block.bytes);
    }
    all.imported.erase(found);
}

}  // namespace ascend_emulator
