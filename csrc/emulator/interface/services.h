// What libascendcl.so offers to the emulator's other libraries (libopapi, libacl_op_compiler,
// libhccl). They look it up by name at run time and link against nothing, so that each is built and
// cached independently.
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

struct aclDataBuffer;

namespace ascend_emulator {

/// A range of device memory that a task reads or writes.
struct Access {
    const void* address;
    std::size_t bytes;
    bool writes;
};

/// A range of memory, which may be empty.
struct MemoryRange {
    const void* begin = nullptr;
    std::size_t bytes = 0;
};

/// A unit of work on a stream. A captured graph runs it once per replay.
class Task {
  public:
    virtual ~Task() = default;
    /// 0, or the code that the next synchronisation of the stream returns. Runs on the worker.
    virtual int run() = 0;
    virtual const char* name() const = 0;
    /// The ranges that the race detector checks; called only if it is on.
    virtual std::vector<Access> accesses() const { return {}; }
    /// The operands as JSON members for the trace, or "".
    virtual std::string arguments() const { return {}; }
};

using TaskPtr = std::shared_ptr<Task>;

class Services {
  public:
    virtual ~Services() = default;
    /// 0, or a code that the caller returns at once. Every exported function calls this first.
    virtual int enter(const char* function) = 0;
    /// Note `message` for aclGetRecentErrMsg and return `code`.
    virtual int fail(int code, const std::string& message) = 0;
    /// Append to the stream's queue; null is the current device's default stream.
    virtual int enqueue(void* stream, TaskPtr task) = 0;
    /// Wait for all streams of this thread's device.
    virtual int synchronize_device() = 0;
    /// The host address of the bytes at a device address; a host address is returned unchanged.
    virtual void* bytes_of(const void* address) = 0;
    /// A message if [address, address + bytes) is not live memory that the stream's device can
    /// access, or "".
    virtual std::string why_out_of_reach(const void* address, std::size_t bytes, void* stream) = 0;
    /// The live memory that holds the byte at a host address, by host addresses.
    virtual MemoryRange live_range(const void* bytes) = 0;
    /// A message about a handle that is not a live data buffer, or "".
    virtual std::string why_no_buffer(const aclDataBuffer* buffer) = 0;
    /// Add `change` to the number of live handles, which is checked for leaks at exit.
    virtual void count_handle(HandleKind kind, int change) = 0;
    virtual const Options& options() = 0;
    /// Write events to the kernel trace, each of which ends in a comma and a line end; false, with
    /// a message on standard error, if it cannot be written.
    virtual bool write_kernel_trace(const std::string& events) = 0;
};

inline Services& services() {
    static Services* const found = [] {
        void* library = dlopen("libascendcl.so", RTLD_LAZY | RTLD_NOLOAD);
        using Getter = Services* (*)();
        void* symbol = library == nullptr ? nullptr : dlsym(library, "ascend_emulator_services");
        if (symbol == nullptr) {
            std::fputs(
                "[emulated NPU] this library requires the emulator's libascendcl.so, which is not "
                "loaded. Start the program with `ascend-ops emulate -- ...`.\n",
                stderr);
            std::abort();
        }
        return reinterpret_cast<Getter>(symbol)();
    }();
    return *found;
}

}  // namespace ascend_emulator
