#include "emulator/runtime/objects/shared_words.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <stdexcept>

#include "emulator/runtime/objects/unnamed_file.h"

namespace ascend_emulator {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* words_file_name = "emulated NPU words";
constexpr std::size_t words_page = 4096;

struct FilePage {
    SharedWord words[2];
    std::atomic<unsigned>
        number;  // distinguishes the files of a process, as descriptors are reused
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

FilePage* map_page(int file) {
    void* address = mmap(nullptr, words_page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (address == MAP_FAILED) {
        throw std::runtime_error("a page cannot be shared between processes");
    }
    return static_cast<FilePage*>(address);
}

/// Map the page of a key; null if its process does not have it.
FilePage* open_page(const std::string& key) {
    int process = 0;
    int descriptor = 0;
    unsigned number = 0;
    if (std::sscanf(key.c_str(), "words-%d-%d-%u", &process, &descriptor, &number) != 3) {
        return nullptr;
    }
    const int file = open_unnamed_file(process, descriptor, words_file_name);
    if (file < 0) {
        return nullptr;
    }
    FilePage* found = map_page(file);
    close(file);
    if (found->number != number) {
        munmap(found, words_page);
        return nullptr;
    }
    return found;
}

long futex(void* word, int operation, std::uint32_t value, const timespec* timeout) {
    return syscall(SYS_futex, word, operation, value, timeout, nullptr, 0);
}

}  // namespace

std::uint32_t SharedWord::update(const Change& change) {
    std::uint32_t value = value_;
    std::uint32_t changed = change(value);
    while (!value_.compare_exchange_weak(value, changed)) {
        changed = change(value);
    }
    futex(&value_, FUTEX_WAKE, INT_MAX, nullptr);
    return changed;
}

bool SharedWord::wait(const Predicate& wanted, const Change& change, int timeout_ms) {
    constexpr timespec at_most{0, 50'000'000};  // so that the end of the time is seen
    const auto end = Clock::now() + std::chrono::milliseconds(std::max(timeout_ms, 0));
    for (;;) {
        std::uint32_t value = value_;
        if (wanted(value)) {
            if (value_.compare_exchange_weak(value, change(value))) {
                return true;
            }
        } else if (timeout_ms >= 0 && Clock::now() >= end) {
            return false;
        } else {
            futex(&value_, FUTEX_WAIT, value, &at_most);
        }
    }
}

SharedWords::SharedWords() : file_(create_unnamed_file(words_file_name, words_page)) {
    if (file_ < 0) {
        throw std::runtime_error("the host has no memory or file descriptor for shared words");
    }
    static std::atomic<unsigned> count{0};
    FilePage* found = map_page(file_);
    found->number = ++count;
    words_ = found->words;
    key_ = "words-" + std::to_string(getpid()) + "-" + std::to_string(file_) + "-" +
           std::to_string(found->number);
}

SharedWords::SharedWords(const std::string& key) : key_(key) {
    FilePage* found = open_page(key);
    if (found == nullptr) {
        throw std::runtime_error(
            "'" + key +
            "' is not a key of the emulator, or its process has ended, belongs "
            "to another user or has destroyed the object");
    }
    words_ = found->words;
}

SharedWords::~SharedWords() {
    munmap(words_, words_page);
    if (file_ >= 0) {
        close(file_);
    }
}

bool SharedWords::is_alive() const {
    if (file_ >= 0) {
        return true;
    }
    FilePage* found = open_page(key_);
    if (found != nullptr) {
        munmap(found, words_page);
    }
    return found != nullptr;
}

}  // namespace ascend_emulator
