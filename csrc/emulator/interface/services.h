// What libascendcl.so offers to the emulator's other libraries (libopapi, libacl_op_compiler,
// libhccl). They get it by name at run time and link nothing, so each is built and cached alone.
#pragma once

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "emulator/interface/export.h"
#include "emulator/interface/handle.h"
#include "emulator/interface/options.h"

namespace ascend_emulator {

/// A range of device memory that a task reads or writes.
struct Access {
    const void* address;
    std::size_t bytes;
    bool writes;
};

/// A unit of work on a stream. A captured graph runs one again and again.
class Task {
  public:
    virtual ~Task() = default;
    /// 0, or the code that the next synchronisation of the stream returns.
    virtual int run() = 0;
    virtual const char* name() const = 0;
    /// Ranges for the race detector; asked only where it is on.
    virtual std::vector<Access> accesses() const { return {}; }
    /// For the trace: the operands as JSON members, "" for none.
    virtual std::string arguments() const { return {}; }
};

using TaskPtr = std::shared_ptr<Task>;

class Services {
  public:
    virtual ~Services() = default;
    /// Initialised? A fault to inject? To be called first by every exported function.
    virtual int enter(const char* function) = 0;
    /// Notes `message` for aclGetRecentErrMsg; returns `code`.
    virtual int fail(int code, const std::string& message) = 0;
    /// Appends to the stream's queue; null is the current device's default stream.
    virtual int enqueue(void* stream, TaskPtr task) = 0;
    /// Waits for all streams of this thread's device.
    virtual int synchronize_device() = 0;
    /// Where the bytes of a device address are; a host address passes unchanged.
    virtual void* bytes_of(const void* address) = 0;
    /// "", or why [address, address + bytes) is not live memory that the stream's device reaches.
    virtual std::string why_out_of_reach(const void* address, std::size_t bytes, void* stream) = 0;
    virtual void count_handle(HandleKind kind, int change) = 0;
    virtual const Options& options() = 0;
};

inline Services& services() {
    static Services* const found = [] {
        void* library = dlopen("libascendcl.so", RTLD_LAZY | RTLD_NOLOAD);
        using Getter = Services* (*)();
        void* symbol = library == nullptr ? nullptr : dlsym(library, "ascend_emulator_services");
        if (symbol == nullptr) {
            std::fputs(
                "[emulated NPU] this library works only beside the emulator's libascendcl.so; "
                "the one that is loaded is another. Start with `ascend-ops emulate -- ...`.\n",
                stderr);
            std::abort();
        }
        return reinterpret_cast<Getter>(symbol)();
    }();
    return *found;
}

}  // namespace ascend_emulator
