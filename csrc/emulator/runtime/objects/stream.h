// Streams: ordered queues of tasks, each served by its own worker thread, so that work is really
// asynchronous to the caller.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "emulator/interface/services.h"
#include "emulator/trace/profile.h"

namespace ascend_emulator {

class Graph;
struct TaskGroup;

/// What a stream is created with. The emulator stores both, and neither changes how it runs tasks.
struct StreamSettings {
    std::uint32_t priority = 0;
    std::uint32_t flags = 0;
};

class Stream {
  public:
    static constexpr auto handle_kind = HandleKind::stream;

    /// A `counted` stream that is never destroyed is a leak.
    Stream(int device, int id, StreamSettings settings, bool counted);
    /// Run what is queued and end the worker, unless finish has done so.
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// Queue the task, or add it to the graph if the stream is being captured.
    int push(TaskPtr task);
    /// Wait for all tasks. Returns 0, the first error since the last call, or the code of a
    /// timeout; with a negative timeout it waits forever.
    int synchronize(int timeout_ms);
    /// Wait for all tasks and leave their error to the next synchronize. 0 or a code.
    int wait();
    bool is_idle();
    /// 0, or a code, with an error noted, on the stream's own worker, where no wait for it ends.
    int check_caller() const;
    /// Drop what is queued and has not begun.
    void drop_queued();
    /// Run or drop what is queued, and end the worker.
    void finish(bool drop);

    int device() const { return device_; }
    int id() const { return id_; }
    bool counted() const { return counted_; }
    const StreamSettings& settings() const { return settings_; }

    std::atomic<std::uint32_t> overflow_switch{0};
    std::atomic<std::uint32_t> user_tag{0};
    // Guarded by the capture's mutex.
    std::shared_ptr<Graph> capturing;
    std::shared_ptr<TaskGroup> open_group;  // what is captured becomes part of it
    std::shared_ptr<TaskGroup> updated_group;
    std::size_t updated_tasks = 0;

  private:
    void work();
    /// A task, and the call that queued it if that is profiled.
    struct Queued {
        TaskPtr task;
        QueueingCall call;
    };

    Queued next();
    void poll();
    void run(Task& task, const QueueingCall& call);
    int wait_until_done(std::unique_lock<std::mutex>& lock, int timeout_ms);

    const int device_;
    const int id_;
    const StreamSettings settings_;
    const bool counted_;
    std::mutex mutex_;
    std::condition_variable has_work_;
    std::condition_variable is_done_;
    std::deque<Queued> queue_;
    std::atomic<int> unfinished_{0};
    std::atomic<int> unwaited_{0};  // tasks queued since the last wait or query
    int waiters_ = 0;
    bool worker_sleeps_ = false;
    bool worker_naps_ = false;
    std::atomic<bool> ending_{false};
    int error_ = 0;
    std::string error_message_;
    std::thread worker_;
};

/// Keeps destroyed streams for a while, as another thread may be waiting for all of the device's.
template <>
void HandlePool<Stream>::destroy(const Stream* stream);

/// The stream of a handle; null stands for the current device's default stream. Returns null, with
/// an error noted, if the handle is not a live stream.
Stream* stream_of(void* handle);

/// Queue the task on a handle's stream, with the hang or delay of a fault. 0 or a code.
int enqueue(void* handle, TaskPtr task);

struct DeviceState;

/// Create the default stream of a context of the device, whose mutex the caller holds.
Stream* create_default_stream(DeviceState& state, bool of_primary);

/// Create a stream on the current device.
Stream* create_stream(StreamSettings settings, bool counted);

/// Run or drop what is queued, end the worker, and keep the handle recognisable. 0 or a code.
int destroy_stream(Stream* stream, bool drop);

TaskPtr host_function_task(void (*function)(void*), void* argument);

}  // namespace ascend_emulator
