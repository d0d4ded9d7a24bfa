#include "emulator/runtime/objects/window.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

#include "emulator/options/options.h"
#include "emulator/runtime/objects/segv_report.h"

namespace ascend_emulator {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t huge_page = 2 << 20;  // the first address is aligned to it

std::size_t rounded_up(std::size_t bytes, std::size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

char* reserve_range(std::size_t size) {
    void* range = mmap(nullptr, size + huge_page, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) {
        std::fprintf(stderr,
                     "[emulated NPU] %zu GB of addresses cannot be reserved: %m. Lower "
                     "ASCEND_EMULATOR_WINDOW_GB or raise `ulimit -v`.\n",
                     size >> 30);
        std::abort();
    }
    const auto begin = reinterpret_cast<std::uintptr_t>(range);
    return static_cast<char*>(range) + (rounded_up(begin, huge_page) - begin);
}

}  // namespace

Window& Window::instance() {
    static auto* const window = new Window;
    return *window;
}

Window::Window()
    : size_(static_cast<std::size_t>(options().window_gb) << 30),
      device_(reserve_range(size_)),
      shadow_(reserve_range(size_)),
      gaps_{{0, size_}} {
    report_host_accesses(device_, size_);
}

std::size_t Window::span(std::size_t bytes) { return rounded_up(bytes, page) + page; }

void* Window::take(std::map<std::size_t, std::size_t>::iterator gap, std::size_t bytes) {
    const std::size_t offset = gap->first;
    const std::size_t left = gap->second - bytes;
    gaps_.erase(gap);
    if (left != 0) {
        gaps_[offset + bytes] = left;
    }
    next_ = offset + bytes;
    return device_ + offset;
}

void* Window::reserve(std::size_t bytes) {
    if (bytes > size_) {
        return nullptr;  // and the sum below would overflow
    }
    const std::size_t wanted = span(bytes);
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto gap = gaps_.lower_bound(next_); gap != gaps_.end(); ++gap) {
        if (gap->second >= wanted) {
            return take(gap, wanted);
        }
    }
    for (auto gap = gaps_.begin(); gap != gaps_.end(); ++gap) {
        if (gap->second >= wanted) {
            return take(gap, wanted);
        }
    }
    return nullptr;
}

void Window::release(void* address, std::size_t bytes) {
    std::size_t freed = span(bytes);
    make_unusable(address, bytes);
    const std::lock_guard<std::mutex> lock(mutex_);
    std::size_t offset = static_cast<std::size_t>(static_cast<char*>(address) - device_);
    auto after = gaps_.lower_bound(offset);
    if (after != gaps_.end() && after->first == offset + freed) {
        freed += after->second;
        after = gaps_.erase(after);
    }
    if (after != gaps_.begin()) {
        const auto before = std::prev(after);
        if (before->first + before->second == offset) {
            before->second += freed;
            return;
        }
    }
    gaps_[offset] = freed;
}

bool Window::make_usable(void* address, std::size_t bytes) {
    return mprotect(bytes_of(address), rounded_up(bytes, page), PROT_READ | PROT_WRITE) == 0;
}

void Window::make_unusable(void* address, std::size_t bytes) {
    // A new mapping, which also releases a file that IPC mapped there.
    void* const mapped = mmap(bytes_of(address), rounded_up(bytes, page), PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (mapped == MAP_FAILED) {
        std::perror("[emulated NPU] freeing device memory");
        std::abort();
    }
}

bool Window::map_file(void* address, std::size_t bytes, int descriptor) {
    return mmap(bytes_of(address), rounded_up(bytes, page), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_FIXED, descriptor, 0) != MAP_FAILED;
}

}  // namespace ascend_emulator
