#include "emulator/runtime/objects/event.h"

#include <algorithm>

#include "acl/acl_rt.h"
#include "emulator/checks/live_handles.h"
#include "emulator/runtime/objects/error.h"

namespace ascend_emulator {
namespace {

/// What an aclrtEvent points to.
struct EventHandle {
    static constexpr auto handle_kind = HandleKind::event;

    explicit EventHandle(bool is_counted) : event(std::make_shared<Event>()), counted(is_counted) {}
    std::shared_ptr<Event> event;
    const bool counted;
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

}  // namespace

std::uint64_t Event::queue_record(VectorClock clock) {
    const std::lock_guard<std::mutex> lock(mutex_);
    clock_ = std::move(clock);
    captured_in_.reset();
    return ++queued_;
}

void Event::record_in(const std::shared_ptr<Graph>& graph) {
    const std::lock_guard<std::mutex> lock(mutex_);
    captured_in_ = graph;
}

void Event::complete(std::uint64_t record) {
    const std::lock_guard<std::mutex> lock(mutex_);
    done_ = std::max(done_, record);
    when_ = Clock::now();
    is_done_.notify_all();
}

void Event::wait(std::uint64_t record) {
    std::unique_lock<std::mutex> lock(mutex_);
    is_done_.wait(lock, [this, record] { return done_ >= record; });
}

std::uint64_t Event::newest() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return queued_;
}

bool Event::is_complete() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return done_ >= queued_;
}

VectorClock Event::clock() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return clock_;
}

std::shared_ptr<Graph> Event::captured_in() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return captured_in_;
}

bool Event::time(Clock::time_point* when) {
    const std::lock_guard<std::mutex> lock(mutex_);
    *when = when_;
    return done_ != 0;
}

void* create_event(bool counted) {
    if (counted) {
        count_handle(HandleKind::event, 1);
    }
    return make_handle<EventHandle>(counted);
}

std::shared_ptr<Event> event_of(void* handle) {
    const auto* event = static_cast<EventHandle*>(handle);
    const std::string problem = why_unusable(event);
    if (!problem.empty()) {
        fail(ACL_ERROR_RT_INVALID_HANDLE, problem);
        return nullptr;
    }
    return event->event;
}

void destroy_event(void* handle) {
    auto* event = static_cast<EventHandle*>(handle);
    if (event->counted) {
        count_handle(HandleKind::event, -1);
    }
    destroy_handle(event);
}

TaskPtr record_task(std::shared_ptr<Event> event, std::uint64_t record) {
    return std::make_shared<Record>(std::move(event), record);
}

TaskPtr wait_task(std::shared_ptr<Event> event, std::uint64_t record) {
    return std::make_shared<Wait>(std::move(event), record);
}

}  // namespace ascend_emulator
