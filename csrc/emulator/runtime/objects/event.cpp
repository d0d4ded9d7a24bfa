#include "emulator/runtime/objects/event.h"

#include <atomic>
#include <functional>
#include <string>

#include "acl/acl_rt.h"
#include "emulator/checks/live_handles.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/shared_records.h"

namespace ascend_emulator {
namespace {

int next_event_id() {
    static std::atomic<int> next{0};
    return next++;
}

/// What an aclrtEvent points to.
struct EventHandle {
    static constexpr auto handle_kind = HandleKind::event;

    EventHandle(std::uint32_t flags, std::shared_ptr<SharedRecords> shared, bool is_counted)
        : event(std::make_shared<Event>(next_event_id(), flags, std::move(shared))),
          counted(is_counted) {}
    std::shared_ptr<Event> event;
    const bool counted;
};

class Record : public Task {
  public:
    explicit Record(CompletionPtr record) : record_(std::move(record)) {}
    ~Record() override { record_->complete(); }
    Record(const Record&) = delete;
    Record& operator=(const Record&) = delete;
    int run() override {
        record_->complete();
        return 0;
    }
    const char* name() const override { return "aclrtRecordEvent"; }

  private:
    CompletionPtr record_;
};

class FlagTask : public Task {
  public:
    FlagTask(const char* name, std::function<void()> work) : name_(name), work_(std::move(work)) {}
    int run() override {
        work_();
        return 0;
    }
    const char* name() const override { return name_; }

  private:
    const char* name_;
    std::function<void()> work_;
};

class WaitForEvent : public Task {
  public:
    WaitForEvent(CompletionPtr record, int timeout_ms)
        : record_(std::move(record)), timeout_ms_(timeout_ms) {}
    int run() override {
        return record_->wait(timeout_ms_)
                   ? 0
                   : fail(ACL_ERROR_RT_WAIT_TIMEOUT, "the event was not recorded within " +
                                                         std::to_string(timeout_ms_) + " ms");
    }
    const char* name() const override { return "aclrtStreamWaitEvent"; }

  private:
    CompletionPtr record_;
    int timeout_ms_;
};

}  // namespace

struct ExternalFlag {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_set = false;

    void set(bool value) {
        const std::lock_guard<std::mutex> lock(mutex);
        is_set = value;
        changed.notify_all();
    }
    void wait() {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [this] { return is_set; });
    }
};

Completion::Completion(VectorClock clock, std::shared_ptr<SharedRecords> shared,
                       std::uint32_t number)
    : clock_(std::move(clock)), shared_(std::move(shared)), number_(number) {}

Completion::Completion(std::shared_ptr<SharedRecords> shared, std::uint32_t number)
    : shared_(std::move(shared)), number_(number), is_imported_(true) {}

void Completion::complete() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (done_) {
        return;
    }
    when_ = Clock::now();
    done_ = true;
    is_done_.notify_all();
    if (shared_ != nullptr) {
        shared_->end(number_);
    }
}

bool Completion::is_complete() const {
    return is_imported_ ? shared_->has_ended(number_) : done_.load();
}

bool Completion::wait(int timeout_ms) {
    if (is_imported_) {
        return shared_->wait(number_, timeout_ms);
    }
    std::unique_lock<std::mutex> lock(mutex_);
    const auto done = [this] { return done_.load(); };
    if (timeout_ms >= 0) {
        return is_done_.wait_for(lock, std::chrono::milliseconds(timeout_ms), done);
    }
    is_done_.wait(lock, done);
    return true;
}

Event::Event(int id, std::uint32_t flags, std::shared_ptr<SharedRecords> shared)
    : id_(id),
      flags_(flags),
      shared_(std::move(shared)),
      external_((flags & ACL_EVENT_EXTERNAL) != 0 ? std::make_shared<ExternalFlag>() : nullptr) {}

TaskPtr Event::set_task() {
    return std::make_shared<FlagTask>("aclrtRecordEvent", [flag = external_] { flag->set(true); });
}

TaskPtr Event::clear_task() {
    return std::make_shared<FlagTask>("aclrtResetEvent", [flag = external_] { flag->set(false); });
}

TaskPtr Event::wait_for_flag_task() {
    return std::make_shared<FlagTask>("aclrtStreamWaitEvent", [flag = external_] { flag->wait(); });
}

CompletionPtr Event::begin_record(VectorClock clock) {
    const std::uint32_t number = shared_ == nullptr ? 0 : shared_->begin();
    auto record = std::make_shared<Completion>(std::move(clock), shared_, number);
    const std::lock_guard<std::mutex> lock(mutex_);
    newest_ = record;
    captured_in_.reset();
    return record;
}

void Event::record_in(const std::shared_ptr<Graph>& graph) {
    const std::lock_guard<std::mutex> lock(mutex_);
    captured_in_ = graph;
}

CompletionPtr Event::newest() {
    if (shared_ != nullptr && shared_->is_imported()) {
        const std::uint32_t number = shared_->newest();
        return number == 0 ? nullptr : std::make_shared<Completion>(shared_, number);
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    return newest_;
}

bool Event::is_complete() {
    const CompletionPtr record = newest();
    return record == nullptr || record->is_complete();
}

std::shared_ptr<Graph> Event::captured_in() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return captured_in_;
}

void* create_event(std::uint32_t flags, bool counted) {
    if (counted) {
        count_handle(HandleKind::event, 1);
    }
    const bool is_shared = (flags & ACL_EVENT_IPC) != 0;
    return make_handle<EventHandle>(flags, is_shared ? std::make_shared<SharedRecords>() : nullptr,
                                    counted);
}

void* import_event(const std::string& key, bool counted) {
    auto shared = std::make_shared<SharedRecords>(key);
    if (counted) {
        count_handle(HandleKind::event, 1);
    }
    return make_handle<EventHandle>(ACL_EVENT_IPC, std::move(shared), counted);
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

TaskPtr record_task(CompletionPtr record) { return std::make_shared<Record>(std::move(record)); }

TaskPtr wait_task(CompletionPtr record, int timeout_ms) {
    return std::make_shared<WaitForEvent>(std::move(record), timeout_ms);
}

}  // namespace ascend_emulator
