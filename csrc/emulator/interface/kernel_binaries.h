// Binaries of kernels, as libascendcl.so sees them; libascendc_emulated.so loads and runs them.
#pragma once

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ascend_emulator {

/// Where a parameter lies among a kernel's arguments.
struct ParameterPlace {
    std::size_t offset;
    std::size_t bytes;
};

class KernelBinaries {
  public:
    virtual ~KernelBinaries() = default;
    /// Load a binary that the emulated bisheng has made. Null, with `problem` set, if it is not
    /// one.
    virtual void* load(const char* path, std::string& problem) = 0;
    virtual void unload(void* binary) = 0;
    /// The function of a kernel, or null. `name_7` is the kernel `name` with the tiling key 7.
    virtual void* find(void* binary, const std::string& name) = 0;
    /// The function of the binary's only kernel with a tiling key, or null if it has several.
    virtual void* with_tiling_key(void* binary, std::uint64_t key) = 0;
    /// The names of the binary's kernels, for messages.
    virtual std::string names(void* binary) = 0;
    /// The parameters of a function, in their order.
    virtual std::vector<ParameterPlace> parameters(void* function) = 0;
    /// Queue a kernel with its arguments, each at a multiple of its alignment. 0 or a code.
    /// `keeps` holds what they point to, for as long as the kernel can run.
    virtual int launch(void* function, std::uint32_t blocks, const void* arguments,
                       std::size_t bytes, void* stream, std::shared_ptr<void> keeps = nullptr) = 0;
};

/// The binaries, or null if libascendc_emulated.so is not there.
inline KernelBinaries* kernel_binaries() {
    static KernelBinaries* const found = [] {
        void* const library = dlopen("libascendc_emulated.so", RTLD_LAZY);
        using Getter = KernelBinaries* (*)();
        const auto getter =
            library == nullptr
                ? nullptr
                : reinterpret_cast<Getter>(dlsym(library, "AscendEmulatorKernelBinaries"));
        return getter == nullptr ? nullptr : getter();
    }();
    return found;
}

}  // namespace ascend_emulator
