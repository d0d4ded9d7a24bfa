// Events: a record is a sequence number, and a wait is for the newest record queued before it.
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "acl/acl_rt.h"
#include "emulator/checks/live_handles.h"
#include "emulator/checks/races.h"
#include "emulator/checks/stack.h"
#include "emulator/options/options.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/graph.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

using Clock = std::chrono::steady_clock;

class Event {
  public:
    std::uint64_t queue_record(VectorClock clock) {
        const std::lock_guard<std::mutex> lock(mutex_);
        clock_ = std::move(clock);
        captured_in_.reset();
        return ++queued_;
    }
    void record_in(const std::shared_ptr<Graph>& graph) {
        const std::lock_guard<std::mutex> lock(mutex_);
        captured_in_ = graph;
    }
    void complete(std::uint64_t record) {
        const std::lock_guard<std::mutex> lock(mutex_);
        done_ = std::max(done_, record);
        when_ = Clock::now();
        is_done_.notify_all();
    }
    void wait(std::uint64_t record) {
        std::unique_lock<std::mutex> lock(mutex_);
        is_done_.wait(lock, [this, record] { return done_ >= record; });
    }
    std::uint64_t newest() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return queued_;
    }
    bool is_complete() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return done_ >= queued_;
    }
    VectorClock clock() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return clock_;
    }
    std::shared_ptr<Graph> captured_in() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return captured_in_;
    }
    /// False where nothing was recorded yet.
    bool time(Clock::time_point* when) {
        const std::lock_guard<std::mutex> lock(mutex_);
        *when = when_;
        return done_ != 0;
    }

  private:
    std::mutex mutex_;
    std::condition_variable is_done_;
    std::uint64_t queued_ = 0;
    std::uint64_t done_ = 0;
    Clock::time_point when_{};
    VectorClock clock_;
    std::shared_ptr<Graph> captured_in_;
};

/// What an aclrtEvent points to. Tasks share the event: destroying the handle frees nothing that
/// is still queued.
struct EventHandle : Handle {
    explicit EventHandle(bool is_counted)
        : Handle(HandleKind::event), event(std::make_shared<Event>()), counted(is_counted) {}
    std::shared_ptr<Event> event;
    const bool counted;  // a leak where it is not destroyed
};

class Record : public Task {
  public:
    Record(std::shared_ptr<Event> event, std::uint64_t record)
        : event_(std::move(event)), record_(record) {}
    int run() override {
        event_->complete(record_);
        return 0;
    }
    const char* name() const override { return "aclrtRecordEvent"; }

  private:
    std::shared_ptr<Event> event_;
    std::uint64_t record_;
};

class Wait : public Task {
  public:
    Wait(std::shared_ptr<Event> event, std::uint64_t record)
        : event_(std::move(event)), record_(record) {}
    int run() override {
        event_->wait(record_);
        return 0;
    }
    const char* name() const override { return "aclrtStreamWaitEvent"; }

  private:
    std::shared_ptr<Event> event_;
    std::uint64_t record_;
};

/// Null, with an error noted, where the handle is no live event.
std::shared_ptr<Event> event_of(aclrtEvent handle) {
    const auto* event = static_cast<EventHandle*>(handle);
    const std::string problem = why_unusable(event, HandleKind::event);
    if (!problem.empty()) {
        fail(ACL_ERROR_RT_INVALID_HANDLE, problem);
        return nullptr;
    }
    return event->event;
}

int create_event(aclrtEvent* event, const void* caller) {
    const bool counted = !is_torch_npu(caller);
    *event = new EventHandle(counted);
    if (counted) {
        count_handle(HandleKind::event, 1);
    }
    return 0;
}

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

// Timing is always kept: the flags mean nothing.
aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag) {
    (void)flag;
    ACL_ENTER();
    return create_event(event, __builtin_return_address(0));
}

aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag) {
    (void)flag;
    ACL_ENTER();
    return create_event(event, __builtin_return_address(0));
}

aclError aclrtCreateEvent(aclrtEvent* event) {
    ACL_ENTER();
    return create_event(event, __builtin_return_address(0));
}

aclError aclrtDestroyEvent(aclrtEvent handle) {
    ACL_ENTER();
    static auto* const quarantine = new Quarantine<EventHandle>;
    if (event_of(handle) == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    auto* event = static_cast<EventHandle*>(handle);
    event->event.reset();
    if (event->counted) {
        count_handle(HandleKind::event, -1);
    }
    quarantine->put(event);
    return 0;
}

aclError aclrtRecordEvent(aclrtEvent handle, aclrtStream stream_handle) {
    ACL_ENTER();
    const std::shared_ptr<Event> event = event_of(handle);
    Stream* stream = event == nullptr ? nullptr : stream_of(stream_handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (const auto graph = capture_of(*stream)) {
        event->record_in(graph);
        return 0;
    }
    const VectorClock clock =
        options().races ? clock_of(stream->device(), stream->id()) : VectorClock();
    return stream->push(std::make_shared<Record>(event, event->queue_record(clock)));
}

aclError aclrtResetEvent(aclrtEvent handle, aclrtStream stream) {
    (void)stream;
    ACL_ENTER();
    return event_of(handle) == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : 0;
}

aclError aclrtStreamWaitEvent(aclrtStream stream_handle, aclrtEvent handle) {
    ACL_ENTER();
    const std::shared_ptr<Event> event = event_of(handle);
    Stream* stream = event == nullptr ? nullptr : stream_of(stream_handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (const auto graph = event->captured_in()) {
        join_capture(*stream, graph);
        return 0;
    }
    if (options().races) {
        note_stream_wait(stream->device(), stream->id(), event->clock());
    }
    const std::uint64_t record = event->newest();
    return event->is_complete() ? 0 : stream->push(std::make_shared<Wait>(event, record));
}

aclError aclrtSynchronizeEvent(aclrtEvent handle) {
    ACL_ENTER();
    const std::shared_ptr<Event> event = event_of(handle);
    if (event == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    event->wait(event->newest());
    if (options().races) {
        note_host_wait(event->clock());
    }
    return 0;
}

aclError aclrtQueryEventStatus(aclrtEvent handle, aclrtEventRecordedStatus* status) {
    ACL_ENTER();
    const std::shared_ptr<Event> event = event_of(handle);
    if (event == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    const bool complete = event->is_complete();
    if (complete && options().races) {  // the host knows now: torch reuses memory by this
        note_host_wait(event->clock());
    }
    *status = complete ? ACL_EVENT_RECORDED_STATUS_COMPLETE : ACL_EVENT_RECORDED_STATUS_NOT_READY;
    return 0;
}

aclError aclrtQueryEventWaitStatus(aclrtEvent handle, aclrtEventWaitStatus* status) {
    ACL_ENTER();
    const std::shared_ptr<Event> event = event_of(handle);
    if (event == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *status =
        event->is_complete() ? ACL_EVENT_WAIT_STATUS_COMPLETE : ACL_EVENT_WAIT_STATUS_NOT_READY;
    return 0;
}

aclError aclrtEventElapsedTime(float* milliseconds, aclrtEvent begin, aclrtEvent end) {
    ACL_ENTER();
    const std::shared_ptr<Event> first = event_of(begin);
    const std::shared_ptr<Event> last = first == nullptr ? nullptr : event_of(end);
    if (last == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    Clock::time_point began;
    Clock::time_point ended;
    if (!first->time(&began) || !last->time(&ended)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "an event has not completed; record and synchronise both first");
    }
    *milliseconds = std::chrono::duration<float, std::milli>(ended - began).count();
    return 0;
}

aclError aclrtEventGetTimestamp(aclrtEvent handle, uint64_t* timestamp) {
    ACL_ENTER();
    const std::shared_ptr<Event> event = event_of(handle);
    Clock::time_point when;
    if (event == nullptr || !event->time(&when)) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *timestamp = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(when.time_since_epoch()).count());
    return 0;
}
