// Streams: ordered queues of tasks, each served by a worker thread of its own, so that work is
// really asynchronous to the caller.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "emulator/interface/services.h"

namespace ascend_emulator {

class Graph;

class Stream : public Handle {
  public:
    /// `counted` streams are leaks where they are not destroyed.
    Stream(int device, int id, bool counted);
    /// Runs what is queued, unless the stream was told to drop it, and ends the worker.
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// Queues the task; in a capture, adds it to the graph instead.
    int push(TaskPtr task);
    /// 0, the first error since the last call, or the code of a timeout. A negative timeout
    /// waits for ever.
    int synchronize(int timeout_ms);
    bool is_idle();
    /// Runs or drops what is queued and ends the worker.
    void finish(bool drop);

    int device() const { return device_; }
    int id() const { return id_; }
    bool counted() const { return counted_; }

    std::atomic<std::uint32_t> overflow_switch{0};
    std::shared_ptr<Graph> capturing;  // guarded by the capture's mutex

  private:
    void work();
    TaskPtr next();
    void run(Task& task);

    const int device_;
    const int id_;
    const bool counted_;
    std::mutex mutex_;
    std::condition_variable has_work_;
    std::condition_variable is_done_;
    std::deque<TaskPtr> queue_;
    std::atomic<int> unfinished_{0};
    std::atomic<int> unwaited_{0};  // tasks since somebody last waited or asked
    int waiters_ = 0;
    bool worker_sleeps_ = false;
    bool worker_naps_ = false;
    bool ending_ = false;
    int error_ = 0;
    std::thread worker_;
};

/// The stream of a handle, null being the current device's default one. Null, with an error
/// noted, where the handle is none or was destroyed.
Stream* stream_of(void* handle);

/// Queues the task on a handle's stream, with the hang or delay that a fault asks for.
int enqueue(void* handle, TaskPtr task);

/// Create a stream on the current device.
Stream* create_stream(bool counted);

/// Run or drop what is queued, end the worker, and keep the handle recognisable. 0 or a code.
int destroy_stream(Stream* stream, bool drop);

TaskPtr host_function_task(void (*function)(void*), void* argument);

}  // namespace ascend_emulator
