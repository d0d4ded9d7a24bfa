// The ways to read and write blocks of files: io_uring, the kernel's AIO, or blocking calls.
//
// The first two are reached by their system calls, so that neither liburing nor libaio need be
// installed, at build time or at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace ascend_ops::async_io {

/// What is read or written by one request to the kernel.
struct Block {
    std::size_t slot = 0;  // 0 to queue depth - 1; no two blocks in flight share one
    bool write = false;
    int fd = -1;
    char* data = nullptr;
    std::size_t bytes = 0;
    std::int64_t offset = 0;  // in the file
};

struct Completion {
    std::size_t slot;
    std::int64_t result;  // bytes transferred, or -errno
};

/// Read or write a block with a blocking call. Return what a completion has as its result.
std::int64_t transfer_now(const Block& block);

/// Used by one thread. At most `depth` blocks are in flight.
class Backend {
  public:
    Backend() = default;
    virtual ~Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;

    /// Start the blocks, with one system call if the kernel takes them all.
    virtual void submit(const Block* const* blocks, std::size_t count) = 0;

    /// Wait until `at_least` blocks have completed, and append all that have.
    virtual void wait(std::size_t at_least, std::vector<Completion>& completed) = 0;
};

enum class Kind : int { io_uring = 0, kernel_aio = 1, blocking = 2 };

/// Throw std::system_error if the kernel refuses.
std::unique_ptr<Backend> make_io_uring(std::size_t depth);
std::unique_ptr<Backend> make_kernel_aio(std::size_t depth);
std::unique_ptr<Backend> make_blocking();
std::unique_ptr<Backend> make_backend(Kind kind, std::size_t depth);

}  // namespace ascend_ops::async_io
