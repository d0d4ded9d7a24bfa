// Events: each record has a completion of its own, and a wait is for the newest record queued
// before it, whatever is recorded later and on whichever stream.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "emulator/checks/races.h"
#include "emulator/interface/services.h"

namespace ascend_emulator {

class Graph;
class SharedRecords;
struct ExternalFlag;

/// Whether one record of an event was reached, and when.
class Completion {
  public:
    using Clock = std::chrono::steady_clock;

    /// A record that other processes see as number `number` of `shared`, unless that is null.
    Completion(VectorClock clock, std::shared_ptr<SharedRecords> shared, std::uint32_t number);
    /// A record of another process.
    Completion(std::shared_ptr<SharedRecords> shared, std::uint32_t number);
    void complete();
    bool is_complete() const;
    /// Wait, at most `timeout_ms` if it is not negative. False if the time ran out.
    bool wait(int timeout_ms);
    /// The clock of the record for the race detector.
    const VectorClock& clock() const { return clock_; }
    /// The time of the completion, which must have happened.
    Clock::time_point when() const { return when_; }

  private:
    const VectorClock clock_;
    const std::shared_ptr<SharedRecords> shared_;
    const std::uint32_t number_ = 0;
    const bool is_imported_ = false;
    std::mutex mutex_;
    std::condition_variable is_done_;
    std::atomic<bool> done_{false};
    Clock::time_point when_{};
};

using CompletionPtr = std::shared_ptr<Completion>;

class Event {
  public:
    /// Other processes can open the event if `shared` is not null.
    Event(int id, std::uint32_t flags, std::shared_ptr<SharedRecords> shared);

    /// Begin a new record, which a record_task completes.
    CompletionPtr begin_record(VectorClock clock);
    /// Note that the event was recorded in a capture instead of on a stream.
    void record_in(const std::shared_ptr<Graph>& graph);

    /// The newest record, or null if the event was never recorded.
    CompletionPtr newest();
    /// Whether the newest record has completed; true if the event was never recorded.
    bool is_complete();
    /// An external event is a flag instead: a record sets it, a reset clears it, and a wait waits
    /// until it is set, even if that is later. Captured graphs wait so for what is not in them.
    bool is_external() const { return external_ != nullptr; }
    TaskPtr set_task();
    TaskPtr clear_task();
    TaskPtr wait_for_flag_task();

    /// The capture that the newest record belongs to, or null.
    std::shared_ptr<Graph> captured_in();

    int id() const { return id_; }
    std::uint32_t flags() const { return flags_; }
    /// The records that processes share, or null.
    const std::shared_ptr<SharedRecords>& shared() const { return shared_; }

  private:
    const int id_;
    const std::uint32_t flags_;
    const std::shared_ptr<SharedRecords> shared_;
    const std::shared_ptr<ExternalFlag> external_;
    std::mutex mutex_;
    CompletionPtr newest_;
    std::shared_ptr<Graph> captured_in_;
};

/// Create an event and return its handle. A `counted` one that is never destroyed is a leak.
void* create_event(std::uint32_t flags, bool counted);

/// Open an event of another process, created with ACL_EVENT_IPC. Throws if the key has none.
void* import_event(const std::string& key, bool counted);

/// The event of a handle; null, with an error noted, if the handle is not a live event.
std::shared_ptr<Event> event_of(void* handle);

/// Destroy a handle that event_of accepts. Tasks share the event, so queued ones may still use it.
void destroy_event(void* handle);

/// A task that completes the record. If the task is dropped, the record completes as well, as a
/// wait for it would otherwise never end.
TaskPtr record_task(CompletionPtr record);

/// A task that waits for the record, at most `timeout_ms` if it is not negative.
TaskPtr wait_task(CompletionPtr record, int timeout_ms);

}  // namespace ascend_emulator
