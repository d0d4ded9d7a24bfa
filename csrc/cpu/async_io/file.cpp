#include "cpu/async_io/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

namespace ascend_ops::async_io {

int reopen(int fd, int flags) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const int opened = open(path.c_str(), flags | O_CLOEXEC);
    return opened < 0 ? -errno : opened;
}

int File::cached(bool write) {
    const std::lock_guard lock(mutex_);
    if (cached_ < 0) {
        const int opened = reopen(direct_, write ? O_WRONLY : O_RDONLY);
        if (opened < 0) {
            return opened;
        }
        cached_ = opened;
    }
    return cached_;
}

int File::close() {
    const std::lock_guard lock(mutex_);
    int error = 0;
    if (!closed_) {
        closed_ = true;
        for (const int fd : {direct_, cached_}) {
            if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) {
                error = errno;
            }
        }
    }
    return error;
}

std::int64_t first_difference(int fd, const char* data, std::int64_t bytes, std::int64_t offset) {
    const int readable = reopen(fd, O_RDONLY);
    if (readable < 0) {
        return readable;
    }
    std::vector<char> found(static_cast<std::size_t>(std::min<std::int64_t>(bytes, 1 << 20)));
    std::int64_t position = 0;
    while (position < bytes) {
        const auto want = std::min<std::size_t>(found.size(), bytes - position);
        const ssize_t got = pread(readable, found.data(), want, offset + position);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            position = got < 0 ? -std::int64_t{errno} : position;
            break;
        }
        const auto same = std::mismatch(found.data(), found.data() + got, data + position);
        position += same.first - found.data();
        if (same.first != found.data() + got) {
            break;
        }
    }
    ::close(readable);
    return position;
}

}  // namespace ascend_ops::async_io
