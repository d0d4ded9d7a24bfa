// A kernel that is ready to run, as the library that runs it sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace aicore {

/// Which cores run a kernel.
enum class KernelType : std::uint8_t { vector, cube, mix_1_1, mix_1_2 };

class KernelLaunch;
using Runner = void (*)(const KernelLaunch&);

/// A kernel with its arguments, ready to run on each core.
class KernelLaunch {
  public:
    virtual ~KernelLaunch() = default;

    /// Runs the kernel on the current core.
    Runner runner = nullptr;
    bool has_cube_pass = false;  // cube cores run other code: see add_cube_passes
    const char* name = "";
    KernelType type = KernelType::vector;
    std::uint32_t blocks = 1;
    std::uint64_t tiling_key = 0;
    bool auto_sync = true;
    std::uint32_t arch = 0;       // __NPU_ARCH__
    std::shared_ptr<void> keeps;  // what the arguments point to
};

/// Queue the kernel on the stream. 0 or a code, as aclrtLaunchKernel returns.
int submit(std::unique_ptr<KernelLaunch> launch, void* stream);

/// A launch with the arguments at `arguments`, or null if there are fewer bytes than it takes.
using MakeLaunch = std::unique_ptr<KernelLaunch> (*)(const unsigned char* arguments,
                                                     std::size_t bytes);

/// Where a parameter lies among a kernel's arguments.
struct KernelParameter {
    std::size_t offset;
    std::size_t bytes;
};

/// Name a kernel of the binary that is being loaded.
bool add_entry(const char* name, MakeLaunch make, std::vector<KernelParameter> parameters);

/// Functions of the compiler's pass over vector cores' code, and those of its pass over cube cores'
/// code that run the same launches.
bool add_cube_passes(std::initializer_list<std::pair<Runner, Runner>> passes);

/// The host address of the byte at a device address; other addresses are returned unchanged.
void* bytes_of(const void* address);

}  // namespace aicore
