// Events: a record is a sequence number, and a wait is for the newest record queued before it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "emulator/checks/races.h"
#include "emulator/interface/services.h"

namespace ascend_emulator {

class Graph;

class Event {
  public:
    using Clock = std::chrono::steady_clock;

    /// Return the number of a new record, which a record_task completes.
    std::uint64_t queue_record(VectorClock clock);
    /// Note that the event was recorded in a capture instead of on a stream.
    void record_in(const std::shared_ptr<Graph>& graph);
    void complete(std::uint64_t record);
    void wait(std::uint64_t record);

    std::uint64_t newest();
    /// Whether the newest record has completed; true if the event was never recorded.
    bool is_complete();
    VectorClock clock();
    /// The capture that the newest record belongs to, or null.
    std::shared_ptr<Graph> captured_in();
    /// Set `when` to the time of the last completed record; false if none has completed.
    bool time(Clock::time_point* when);

  private:
    std::mutex mutex_;
    std::condition_variable is_done_;
    std::uint64_t queued_ = 0;
    std::uint64_t done_ = 0;
    Clock::time_point when_{};
    VectorClock clock_;
    std::shared_ptr<Graph> captured_in_;
};

/// Create an event and return its handle. A `counted` one that is never destroyed is a leak.
void* create_event(bool counted);

/// The event of a handle; null, with an error noted, if the handle is not a live event.
std::shared_ptr<Event> event_of(void* handle);

/// Destroy a handle that event_of accepts. Tasks share the event, so queued ones may still use it.
void destroy_event(void* handle);

TaskPtr record_task(std::shared_ptr<Event> event, std::uint64_t record);
TaskPtr wait_task(std::shared_ptr<Event> event, std::uint64_t record);

}  // namespace ascend_emulator
