#include "emulator/runtime/objects/kernel_binary.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>

#include "acl/acl_rt.h"
#include "emulator/interface/kernel_binaries.h"
#include "emulator/runtime/objects/error.h"

namespace ascend_emulator {
namespace {

/// The handles that are alive, so that others are refused.
class Handles {
  public:
    void add(const void* handle) {
        const std::lock_guard<std::mutex> lock(mutex_);
        live_.insert(handle);
    }
    bool remove(const void* handle) {
        const std::lock_guard<std::mutex> lock(mutex_);
        return live_.erase(handle) != 0;
    }
    bool has(const void* handle) {
        const std::lock_guard<std::mutex> lock(mutex_);
        return live_.count(handle) != 0;
    }

  private:
    std::mutex mutex_;
    std::set<const void*> live_;
};

Handles& binaries() {
    static Handles handles;
    return handles;
}

}  // namespace

int check_binary(const void* binary) {
    return binaries().has(binary) ? 0
                                  : fail(ACL_ERROR_RT_INVALID_HANDLE,
                                         "the binary must be a handle of aclrtBinaryLoad*");
}

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
    binaries().add(*binary);
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
    if (!binaries().remove(binary)) {
        return check_binary(binary);
    }
    kernel_binaries()->unload(binary);
    return 0;
}

}  // namespace ascend_emulator
