// A file that is open twice if necessary: past the page cache, and through it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>

namespace ascend_ops::async_io {

/// Owns its descriptors.
class File {
  public:
    /// `direct` tells whether `fd` was opened with O_DIRECT.
    File(int fd, bool direct) : direct_(direct ? fd : -1), cached_(direct ? -1 : fd) {}
    ~File() { close(); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    /// The descriptor with O_DIRECT, or -1.
    int direct() const { return direct_; }

    /// A descriptor without O_DIRECT, or -errno. Opened by the first call that needs one.
    int cached(bool write);

    /// Return 0, or the errno of a descriptor that could not be closed, as when a file system on
    /// a network finds out only then that it is full.
    int close();

  private:
    const int direct_;
    int cached_;
    bool closed_ = false;
    std::mutex mutex_;
};

/// Open what `fd` leads to once more; -errno if that fails.
int reopen(int fd, int flags);

/// Compare `bytes` bytes of the file that `fd` leads to with `data`. Return the position of the
/// first difference, `bytes` if there is none, or -errno.
std::int64_t first_difference(int fd, const char* data, std::int64_t bytes, std::int64_t offset);

}  // namespace ascend_ops::async_io
