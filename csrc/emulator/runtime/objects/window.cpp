#include "emulator/runtime/objects/window.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

#include "emulator/options/options.h"
#include "emulator/runtime/objects/segv_report.h"
#include "emulator/runtime/objects/unnamed_file.h"

namespace ascend_emulator {
namespace {

constexpr std::size_t window_page = 4096;
constexpr std::size_t huge_page = 2 << 20;  // the first address is aligned to it

std::size_t rounded_up(std::size_t bytes, std::size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

[[noreturn]] void give_up(const char* what, std::size_t size) {
    std::fprintf(stderr,
                 "[emulated NPU] %s of %zu GB of addresses is not possible: %m. Lower "
                 "ASCEND_EMULATOR_WINDOW_GB or raise `ulimit -v`.\n",
                 what, size >> 30);
    std::abort();
}

char* reserve_range(std::size_t size) {
    void* range = mmap(nullptr, size + huge_page, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) {
        give_up("a reservation", size);
    }
    const auto begin = reinterpret_cast<std::uintptr_t>(range);
    return static_cast<char*>(range) + (rounded_up(begin, huge_page) - begin);
}

int create_file(std::size_t size) {
    const int file = create_unnamed_file(window_file_name, size);
    if (file < 0) {
        give_up("a file", size);
    }
    return file;
}

/// Map pages of a file at an address; false if the system has no memory for it.
bool map_at(void* address, std::size_t bytes, int protection, const Pages& pages) {
    return mmap(address, rounded_up(bytes, window_page), protection,
                MAP_SHARED | MAP_NORESERVE | MAP_FIXED, pages.file,
                static_cast<off_t>(pages.offset)) != MAP_FAILED;
}

}  // namespace

Window& Window::instance() {
    static auto* const window = new Window;
    return *window;
}

Window::Window()
    : size_(static_cast<std::size_t>(options().window_gb) << 30),
      device_(reserve_range(size_)),
      file_(create_file(size_)),
      shadow_(reserve_range(size_)),
      gaps_{{0, size_}} {
    if (!map_at(shadow_, size_, PROT_NONE, {file_, 0})) {
        give_up("a mapping", size_);
    }
    report_host_accesses(device_, size_);
}

std::size_t Window::span(std::size_t bytes) { return rounded_up(bytes, window_page) + window_page; }

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
    std::size_t offset = offset_of(address);
    fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
              static_cast<off_t>(rounded_up(bytes, window_page)));
    const std::lock_guard<std::mutex> lock(mutex_);
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
    return mprotect(bytes_of(address), rounded_up(bytes, window_page), PROT_READ | PROT_WRITE) == 0;
}

void Window::make_unusable(void* address, std::size_t bytes) {
    // A new mapping, which also releases the pages of another file.
    if (!map_at(bytes_of(address), bytes, PROT_NONE, pages_of(address))) {
        std::perror("[emulated NPU] freeing device memory");
        std::abort();
    }
}

bool Window::map_pages(void* address, std::size_t bytes, const Pages& pages) {
    return map_at(bytes_of(address), bytes, PROT_READ | PROT_WRITE, pages);
}

bool Window::open_to_host(void* address, std::size_t bytes, const Pages& pages) {
    return map_at(address, bytes, PROT_READ | PROT_WRITE, pages);
}

void Window::close_to_host(void* address, std::size_t bytes) {
    if (mprotect(address, rounded_up(bytes, window_page), PROT_NONE) != 0) {
        std::perror("[emulated NPU] closing memory to the host");
        std::abort();
    }
}

Pages Window::pages_of(const void* address) const { return {file_, offset_of(address)}; }

}  // namespace ascend_emulator
