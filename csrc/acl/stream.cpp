#include "acl/stream.h"

#include <mutex>
#include <set>

#include "acl/runtime.h"

namespace ascend_ops::acl {
namespace {

// ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC, the flags of torch_npu's own streams.
constexpr unsigned fast_stream = 0x1U | 0x2U;
// ACL_EVENT_SYNC | ACL_EVENT_CAPTURE_STREAM_PROGRESS: streams wait for it and the host queries it.
constexpr unsigned plain_event = 0x1U | 0x2U;
constexpr unsigned timed_event = 0x8U;  // ACL_EVENT_TIME_LINE

struct Registry {
    std::mutex mutex;
    std::set<Owned*> living;
};

/// Never destroyed: Python objects may outlive any static object.
Registry& registry() {
    static auto* const only = new Registry;
    return *only;
}

std::string on(int device) { return " on device " + std::to_string(device); }

int create_event(void** handle, bool timing) {
    const unsigned flags = timing ? plain_event | timed_event : plain_event;
    const Functions& acl = functions();
    if (acl.create_event_ex_with_flag != nullptr) {  // such an event can be recorded again
        return acl.create_event_ex_with_flag(handle, flags);
    }
    return acl.create_event_with_flag != nullptr ? acl.create_event_with_flag(handle, flags)
                                                 : acl.create_event(handle);
}

}  // namespace

Owned::Owned() {
    const std::lock_guard<std::mutex> lock(registry().mutex);
    registry().living.insert(this);
}

void Owned::forget() noexcept {
    if (is_usable()) {  // in a forked child the lock may be held by a thread of the parent
        const std::lock_guard<std::mutex> lock(registry().mutex);
        registry().living.erase(this);
    }
}

void Owned::close_all() noexcept {
    const std::lock_guard<std::mutex> lock(registry().mutex);
    for (Owned* one : registry().living) {
        one->close();
    }
    registry().living.clear();
}

Stream::Stream(int device, unsigned priority) : device_(device) {
    try {
        const DeviceGuard guard(device);
        const auto with_config = functions().create_stream_with_config;
        const std::string purpose =
            "create a stream of priority " + std::to_string(priority) + on(device);
        void* handle = nullptr;
        if (with_config != nullptr) {
            check(with_config(&handle, priority, fast_stream), "aclrtCreateStreamWithConfig",
                  purpose);
        } else if (priority == 0) {
            check(functions().create_stream(&handle), "aclrtCreateStream", purpose);
        } else {
            throw Error(
                "priority must be 0, got " + std::to_string(priority) +
                ": other priorities require aclrtCreateStreamWithConfig, which this CANN lacks");
        }
        handle_ = handle;
    } catch (...) {
        forget();
        throw;
    }
}

Stream::~Stream() {
    forget();
    Stream::close();
}

void Stream::close() noexcept {
    void* handle = handle_.exchange(nullptr);
    if (handle == nullptr || !is_usable()) {
        return;
    }
    attempt([&] {  // fails if the device is gone, and its streams with it
        const DeviceGuard guard(device_);
        functions().synchronize_stream(handle);
        functions().destroy_stream(handle);
    });
}

void* Stream::handle() const {
    functions();
    return handle_;
}

Event::Event(int device, bool timing) : device_(device), timing_(timing) {
    try {
        const DeviceGuard guard(device);
        void* handle = nullptr;
        check(create_event(&handle, timing), "aclrtCreateEvent", "create an event" + on(device));
        handle_ = handle;
    } catch (...) {
        forget();
        throw;
    }
}

Event::~Event() {
    forget();
    Event::close();
}

void Event::close() noexcept {
    void* handle = handle_.exchange(nullptr);
    if (handle == nullptr || !is_usable()) {
        return;
    }
    attempt([&] {
        const DeviceGuard guard(device_);
        functions().destroy_event(handle);
    });
}

void* Event::handle() const {
    functions();
    return handle_;
}

void Event::record(void* stream) {
    const DeviceGuard guard(device_);
    check(functions().record_event(handle(), stream), "aclrtRecordEvent",
          "record an event on a stream" + on(device_));
    recorded_ = true;
}

bool Event::query() const {
    if (!recorded_) {
        return true;
    }
    const DeviceGuard guard(device_);
    int status = 0;
    check(functions().query_event(handle(), &status), "aclrtQueryEventStatus",
          "query an event" + on(device_));
    return status == 1;  // ACL_EVENT_RECORDED_STATUS_COMPLETE
}

void Event::synchronize() const {
    if (!recorded_) {
        return;
    }
    const DeviceGuard guard(device_);
    check(functions().synchronize_event(handle()), "aclrtSynchronizeEvent",
          "wait for an event" + on(device_));
}

float Event::elapsed_time(const Event& end) const {
    if (!timing_ || !end.timing_) {
        throw std::invalid_argument("both events of elapsed_time must be created with timing=True");
    }
    if (!query() || !end.query() || !recorded_ || !end.recorded_) {
        throw std::invalid_argument(
            "both events of elapsed_time must be recorded and done; synchronize the later one "
            "first");
    }
    const DeviceGuard guard(device_);
    float milliseconds = 0;
    check(functions().elapsed_time(&milliseconds, handle(), end.handle()), "aclrtEventElapsedTime",
          "measure the time between two events" + on(device_));
    return milliseconds;
}

void synchronize_stream(void* stream, int device) {
    const DeviceGuard guard(device);
    check(functions().synchronize_stream(stream), "aclrtSynchronizeStream",
          "wait for a stream" + on(device));
}

bool query_stream(void* stream, int device) {
    const DeviceGuard guard(device);
    if (functions().query_stream == nullptr) {
        Event event(device, false);
        event.record(stream);
        return event.query();
    }
    int status = 0;
    check(functions().query_stream(stream, &status), "aclrtStreamQuery",
          "query a stream" + on(device));
    return status == 0;  // ACL_STREAM_STATUS_COMPLETE
}

void wait_event(void* stream, int device, const Event& event) {
    if (!event.is_recorded()) {
        return;
    }
    const DeviceGuard guard(device);
    check(functions().stream_wait_event(stream, event.handle()), "aclrtStreamWaitEvent",
          "make a stream wait for an event" + on(device));
}

}  // namespace ascend_ops::acl
