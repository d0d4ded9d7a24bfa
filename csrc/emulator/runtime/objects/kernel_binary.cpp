#include "emulator/runtime/objects/kernel_binary.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <string>

#include "acl/acl_rt.h"
#include "emulator/interface/kernel_binaries.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/kernel_arguments.h"

namespace ascend_emulator {
namespace {

/// The handles that are alive, so that others are refused. A function belongs to its binary.
class Handles {
  public:
    void add(const void* handle, const void* owner = nullptr) {
        const std::lock_guard<std::mutex> lock(mutex_);
        owners_[handle] = owner;
    }
    bool remove(const void* handle) {
        const std::lock_guard<std::mutex> lock(mutex_);
        return owners_.erase(handle) != 0;
    }
    void remove_all_of(const void* owner) {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (auto entry = owners_.begin(); entry != owners_.end();) {
            entry = entry->second == owner ? owners_.erase(entry) : std::next(entry);
        }
    }
    bool has(const void* handle) {
        const std::lock_guard<std::mutex> lock(mutex_);
        return owners_.count(handle) != 0;
    }

  private:
    std::mutex mutex_;
    std::map<const void*, const void*> owners_;
};

struct LiveHandles {
    Handles images;
    Handles binaries;
    Handles functions;
};

/// Never destroyed: threads outlive main.
LiveHandles& live() {
    static auto* const only = new LiveHandles;
    return *only;
}

int check(Handles& handles, const void* handle, const char* problem) {
    return handles.has(handle) ? 0 : fail(ACL_ERROR_RT_INVALID_HANDLE, problem);
}

}  // namespace

BinaryImage* create_image(const void* bytes, std::size_t count) {
    auto* const image = new BinaryImage{bytes, count};
    live().images.add(image);
    return image;
}

int check_image(const void* image) {
    return check(live().images, image, "the image must be a result of aclrtCreateBinary");
}

int destroy_image(void* image) {
    if (!live().images.remove(image)) {
        return check_image(image);
    }
    delete static_cast<BinaryImage*>(image);
    return 0;
}

int check_binary(const void* binary) {
    return check(live().binaries, binary, "the binary must be a handle of aclrtBinaryLoad*");
}

void add_function(const void* function, const void* binary) {
    live().functions.add(function, binary);
}

int check_function(const void* function) {
    return check(live().functions, function,
                 "the function must be a handle of aclrtBinaryGetFunction* and its binary loaded");
}

bool is_function(const void* function) { return live().functions.has(function); }

int load_binary(const char* path, void** binary) {
    KernelBinaries* const loader = kernel_binaries();
    if (loader == nullptr) {
        return fail(ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
                    "libascendc_emulated.so of the emulated CANN was not found");
    }
    std::string problem;
    *binary = loader->load(path, problem);
    if (*binary == nullptr) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, problem);
    }
    live().binaries.add(*binary);
    return 0;
}

/// Write the bytes to a file and load it.
int load_binary_bytes(const void* bytes, std::size_t count, void** binary) {
    char path[] = "/tmp/ascend-binary-XXXXXX";
    const int file = mkstemp(path);
    std::FILE* const stream = file < 0 ? nullptr : fdopen(file, "wb");
    if (stream == nullptr) {
        return fail(ACL_ERROR_RT_INTERNAL_ERROR, std::string(path) + " cannot be written");
    }
    const bool written = std::fwrite(bytes, 1, count, stream) == count;
    std::fclose(stream);
    const int code =
        written ? load_binary(path, binary)
                : fail(ACL_ERROR_RT_INTERNAL_ERROR, std::string(path) + " cannot be written");
    std::remove(path);
    return code;
}

int unload_binary(void* binary) {
    if (!live().binaries.remove(binary)) {
        return check_binary(binary);
    }
    live().functions.remove_all_of(binary);
    drop_dead_arguments();
    kernel_binaries()->unload(binary);
    return 0;
}

}  // namespace ascend_emulator
