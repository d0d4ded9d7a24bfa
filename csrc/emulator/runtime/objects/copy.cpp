#include "emulator/runtime/objects/copy.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>

#include "emulator/checks/races.h"
#include "emulator/options/options.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/memory.h"
#include "emulator/runtime/objects/window.h"

namespace ascend_emulator {
namespace {

const char* side_of(const void* address) { return is_device_address(address) ? "device" : "host"; }

std::string name_of_kind(aclrtMemcpyKind kind) {
    switch (kind) {
        case ACL_MEMCPY_HOST_TO_HOST:
            return "ACL_MEMCPY_HOST_TO_HOST";
        case ACL_MEMCPY_HOST_TO_DEVICE:
            return "ACL_MEMCPY_HOST_TO_DEVICE";
        case ACL_MEMCPY_DEVICE_TO_HOST:
            return "ACL_MEMCPY_DEVICE_TO_HOST";
        case ACL_MEMCPY_DEVICE_TO_DEVICE:
            return "ACL_MEMCPY_DEVICE_TO_DEVICE";
        case ACL_MEMCPY_DEFAULT:
            return "ACL_MEMCPY_DEFAULT";
        case ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE:
            return "ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE";
        case ACL_MEMCPY_INNER_DEVICE_TO_DEVICE:
            return "ACL_MEMCPY_INNER_DEVICE_TO_DEVICE";
        case ACL_MEMCPY_INTER_DEVICE_TO_DEVICE:
            return "ACL_MEMCPY_INTER_DEVICE_TO_DEVICE";
    }
    return std::to_string(static_cast<int>(kind)) + ", which is not a kind";
}

bool fits(aclrtMemcpyKind kind, bool to_device, bool from_device) {
    switch (kind) {
        case ACL_MEMCPY_HOST_TO_HOST:
            return !to_device && !from_device;
        case ACL_MEMCPY_HOST_TO_DEVICE:
            return to_device && !from_device;
        case ACL_MEMCPY_DEVICE_TO_HOST:
            return !to_device && from_device;
        case ACL_MEMCPY_DEVICE_TO_DEVICE:
        case ACL_MEMCPY_INNER_DEVICE_TO_DEVICE:
        case ACL_MEMCPY_INTER_DEVICE_TO_DEVICE:
            return to_device && from_device;
        case ACL_MEMCPY_DEFAULT:
            return true;
        case ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE:
            return to_device && !from_device;
    }
    return false;
}

int check_capacity(std::size_t capacity, std::size_t bytes) {
    return bytes <= capacity ? 0
                             : fail(ACL_ERROR_RT_PARAM_INVALID,
                                    "count must be at most destMax, " + std::to_string(capacity) +
                                        ", got " + std::to_string(bytes));
}

/// Linux maps nothing below this address.
constexpr std::uintptr_t lowest_address = 65536;

int check_given(const char* what, const void* address, std::size_t bytes) {
    if (bytes == 0 || reinterpret_cast<std::uintptr_t>(address) >= lowest_address) {
        return 0;
    }
    return fail(ACL_ERROR_RT_PARAM_INVALID,
                std::string("the ") + what +
                    (address == nullptr ? " must not be null"
                                        : " must be an address, got " + address_text(address)));
}

void move_bytes(void* to, const void* from, std::size_t bytes) {
    const Window& window = Window::instance();
    std::memmove(window.bytes_of(to), window.bytes_of(from), bytes);
}

void set_bytes(void* to, int value, std::size_t bytes) {
    std::memset(Window::instance().bytes_of(to), value, bytes);
}

void set_words(void* to, std::uint32_t value, std::size_t count) {
    std::fill_n(static_cast<std::uint32_t*>(Window::instance().bytes_of(to)), count, value);
}

class Copy : public Task {
  public:
    Copy(void* to, const void* from, std::size_t bytes) : to_(to), from_(from), bytes_(bytes) {}
    int run() override {
        move_bytes(to_, from_, bytes_);
        return 0;
    }
    const char* name() const override { return "aclrtMemcpyAsync"; }
    std::vector<Access> accesses() const override {
        return {{from_, bytes_, false}, {to_, bytes_, true}};
    }
    std::string arguments() const override {
        return "\"bytes\":" + std::to_string(bytes_) + ",\"from\":\"" + side_of(from_) +
               "\",\"to\":\"" + side_of(to_) + "\"";
    }

  private:
    void* to_;
    const void* from_;
    std::size_t bytes_;
};

class Fill : public Task {
  public:
    Fill(const char* name, void* to, std::size_t bytes, std::function<void()> fill)
        : name_(name), to_(to), bytes_(bytes), fill_(std::move(fill)) {}
    int run() override {
        fill_();
        return 0;
    }
    const char* name() const override { return name_; }
    std::vector<Access> accesses() const override { return {{to_, bytes_, true}}; }
    std::string arguments() const override { return "\"bytes\":" + std::to_string(bytes_); }

  private:
    const char* name_;
    void* to_;
    std::size_t bytes_;
    std::function<void()> fill_;
};

}  // namespace

int check_live(const char* what, const void* address, std::size_t bytes) {
    if (bytes == 0 || !Window::instance().holds(address)) {
        return 0;
    }
    const std::string problem = why_not_live(address, bytes);
    return problem.empty() ? 0
                           : fail(ACL_ERROR_RT_PARAM_INVALID, std::string(what) + ": " + problem);
}

int check_copy(void* to, std::size_t capacity, const void* from, std::size_t bytes,
               aclrtMemcpyKind kind) {
    if (const int code = check_capacity(capacity, bytes)) {
        return code;
    }
    if (const int code = check_given("destination", to, bytes)) {
        return code;
    }
    if (const int code = check_given("source", from, bytes)) {
        return code;
    }
    if (!fits(kind, is_device_address(to), is_device_address(from))) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "kind must fit the addresses, got " +
                                                    name_of_kind(kind) + ": the destination " +
                                                    address_text(to) + " is " + side_of(to) +
                                                    " memory, the source " + address_text(from) +
                                                    " is " + side_of(from) + " memory");
    }
    const int code = check_live("destination", to, bytes);
    return code != 0 ? code : check_live("source", from, bytes);
}

int check_fill(void* to, std::size_t capacity, std::size_t bytes) {
    int code = check_capacity(capacity, bytes);
    code = code != 0 ? code : check_given("destination", to, bytes);
    return code != 0 ? code : check_live("destination", to, bytes);
}

int check_fill_words(void* to, std::size_t capacity, std::size_t count) {
    if (reinterpret_cast<std::uintptr_t>(to) % sizeof(std::uint32_t) != 0) {
        return fail(ACL_ERROR_RT_ADDR_UNALIGNED,
                    "the destination must be aligned to 4 bytes, got " + address_text(to));
    }
    std::size_t bytes = 0;
    const bool overflows = __builtin_mul_overflow(count, sizeof(std::uint32_t), &bytes);
    return check_fill(to, capacity, overflows ? SIZE_MAX : bytes);
}

void copy_now(void* to, const void* from, std::size_t bytes) {
    if (options().races) {
        note_host_access("aclrtMemcpy", from, bytes, false);
        note_host_access("aclrtMemcpy", to, bytes, true);
    }
    move_bytes(to, from, bytes);
}

void fill_now(void* to, int value, std::size_t bytes) {
    if (options().races) {
        note_host_access("aclrtMemset", to, bytes, true);
    }
    set_bytes(to, value, bytes);
}

void fill_words_now(void* to, std::uint32_t value, std::size_t count) {
    if (options().races) {
        note_host_access("aclrtMemsetD32", to, count * sizeof value, true);
    }
    set_words(to, value, count);
}

TaskPtr copy_task(void* to, const void* from, std::size_t bytes) {
    return std::make_shared<Copy>(to, from, bytes);
}

TaskPtr fill_task(void* to, int value, std::size_t bytes) {
    return std::make_shared<Fill>("aclrtMemsetAsync", to, bytes,
                                  [=] { set_bytes(to, value, bytes); });
}

TaskPtr fill_words_task(void* to, std::uint32_t value, std::size_t count) {
    return std::make_shared<Fill>("aclrtMemsetD32Async", to, count * sizeof value,
                                  [=] { set_words(to, value, count); });
}

}  // namespace ascend_emulator
