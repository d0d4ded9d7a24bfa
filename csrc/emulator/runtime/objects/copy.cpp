// Copies and fills, synchronous and on a stream. A copy's kind has to fit its addresses, and
// device addresses have to be of live memory.
#include <cstring>

#include "acl/acl_rt.h"
#include "emulator/checks/races.h"
#include "emulator/options/options.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/memory.h"
#include "emulator/runtime/objects/stream.h"
#include "emulator/runtime/objects/window.h"

namespace ascend_emulator {
namespace {

const char* side_of(const void* address) {
    return Window::instance().holds(address) ? "device" : "host";
}

const char* name_of_kind(aclrtMemcpyKind kind) {
    switch (kind) {
        case ACL_MEMCPY_HOST_TO_HOST:
            return "ACL_MEMCPY_HOST_TO_HOST";
        case ACL_MEMCPY_HOST_TO_DEVICE:
            return "ACL_MEMCPY_HOST_TO_DEVICE";
        case ACL_MEMCPY_DEVICE_TO_HOST:
            return "ACL_MEMCPY_DEVICE_TO_HOST";
        case ACL_MEMCPY_DEVICE_TO_DEVICE:
            return "ACL_MEMCPY_DEVICE_TO_DEVICE";
        default:
            return "this kind";
    }
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
        default:
            return true;
    }
}

int check_live(const char* what, const void* address, std::size_t bytes) {
    if (bytes == 0 || !Window::instance().holds(address)) {
        return 0;
    }
    const std::string problem = why_not_live(address, bytes);
    return problem.empty() ? 0
                           : fail(ACL_ERROR_RT_PARAM_INVALID, std::string(what) + ": " + problem);
}

int check_room(std::size_t room, std::size_t bytes) {
    return bytes <= room
               ? 0
               : fail(ACL_ERROR_RT_PARAM_INVALID, std::to_string(bytes) + " bytes do not fit the " +
                                                      std::to_string(room) + " of the destination");
}

int check_copy(void* to, std::size_t room, const void* from, std::size_t bytes,
               aclrtMemcpyKind kind) {
    if (const int code = check_room(room, bytes)) {
        return code;
    }
    if (bytes != 0 && (to == nullptr || from == nullptr)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    std::string("the ") + (to == nullptr ? "destination" : "source") + " is null");
    }
    const Window& window = Window::instance();
    if (!fits(kind, window.holds(to), window.holds(from))) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    std::string(name_of_kind(kind)) + " does not fit its addresses: the " +
                        "destination " + to_text(to) + " is " + side_of(to) +
                        " memory, the source " + to_text(from) + " is " + side_of(from) +
                        " memory");
    }
    const int code = check_live("destination", to, bytes);
    return code != 0 ? code : check_live("source", from, bytes);
}

void copy_now(void* to, const void* from, std::size_t bytes) {
    const Window& window = Window::instance();
    std::memmove(window.bytes_of(to), window.bytes_of(from), bytes);
}

class Copy : public Task {
  public:
    Copy(void* to, const void* from, std::size_t bytes) : to_(to), from_(from), bytes_(bytes) {}
    int run() override {
        copy_now(to_, from_, bytes_);
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
        std::memset(Window::instance().bytes_of(to_), value_, bytes_);
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
}  // namespace ascend_emulator

using namespace ascend_emulator;

// Not ordered after what streams have queued, as on a device: the caller synchronises first.
aclError aclrtMemcpy(void* to, size_t room, const void* from, size_t bytes, aclrtMemcpyKind kind) {
    ACL_ENTER();
    if (const int code = check_copy(to, room, from, bytes, kind)) {
        return code;
    }
    if (options().races) {
        note_host_access("aclrtMemcpy", from, bytes, false);
        note_host_access("aclrtMemcpy", to, bytes, true);
    }
    copy_now(to, from, bytes);
    return 0;
}

aclError aclrtMemset(void* to, size_t room, int32_t value, size_t bytes) {
    ACL_ENTER();
    int code = check_room(room, bytes);
    code = code != 0 ? code : check_live("destination", to, bytes);
    if (code != 0) {
        return code;
    }
    if (options().races) {
        note_host_access("aclrtMemset", to, bytes, true);
    }
    std::memset(Window::instance().bytes_of(to), value, bytes);
    return 0;
}

aclError aclrtMemcpyAsync(void* to, size_t room, const void* from, size_t bytes,
                          aclrtMemcpyKind kind, aclrtStream stream) {
    ACL_ENTER();
    const int code = check_copy(to, room, from, bytes, kind);
    return code != 0 ? code : enqueue(stream, std::make_shared<Copy>(to, from, bytes));
}

aclError aclrtMemcpyAsyncWithCondition(void* to, size_t room, const void* from, size_t bytes,
                                       aclrtMemcpyKind kind, aclrtStream stream) {
    return aclrtMemcpyAsync(to, room, from, bytes, kind, stream);
}

aclError aclrtMemsetAsync(void* to, size_t room, int32_t value, size_t bytes, aclrtStream stream) {
    ACL_ENTER();
    int code = check_room(room, bytes);
    code = code != 0 ? code : check_live("destination", to, bytes);
    return code != 0 ? code : enqueue(stream, std::make_shared<Fill>(to, value, bytes));
}

// A hint to prefetch into a cache that is not there.
aclError aclrtCmoAsync(void* address, size_t bytes, aclrtCmoType type, aclrtStream stream) {
    (void)type;
    (void)stream;
    ACL_ENTER();
    return check_live("address", address, bytes);
}
