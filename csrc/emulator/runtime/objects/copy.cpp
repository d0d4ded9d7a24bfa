#include "emulator/runtime/objects/copy.h"

#include <cstring>

#include "emulator/checks/races.h"
#include "emulator/options/options.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/memory.h"
#include "emulator/runtime/objects/window.h"

namespace ascend_emulator {
namespace {

const char* side_of(const void* address) {
    return Window::instance().holds(address) ? "device" : "host";
}

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
    Fill(void* to, int value, std::size_t bytes) : to_(to), value_(value), bytes_(bytes) {}
    int run() override {
        set_bytes(to_, value_, bytes_);
        return 0;
    }
    const char* name() const override { return "aclrtMemsetAsync"; }
    std::vector<Access> accesses() const override { return {{to_, bytes_, true}}; }
    std::string arguments() const override { return "\"bytes\":" + std::to_string(bytes_); }

  private:
    void* to_;
    int value_;
    std::size_t bytes_;
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
    const Window& window = Window::instance();
    if (!fits(kind, window.holds(to), window.holds(from))) {
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

TaskPtr copy_task(void* to, const void* from, std::size_t bytes) {
    return std::make_shared<Copy>(to, from, bytes);
}

TaskPtr fill_task(void* to, int value, std::size_t bytes) {
    return std::make_shared<Fill>(to, value, bytes);
}

}  // namespace ascend_emulator
