#include "emulator/runtime/objects/stream.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <exception>

#include "acl/acl_rt.h"
#include "emulator/checks/live_handles.h"
#include "emulator/checks/races.h"
#include "emulator/faults/faulty_task.h"
#include "emulator/options/options.h"
#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/graph.h"
#include "emulator/runtime/objects/process_state.h"
#include "emulator/trace/trace.h"

namespace ascend_emulator {
namespace {

// How long a worker polls before it sleeps: waking a sleeping thread costs more than an operator.
// The time is bounded, not only the number of polls: on a busy machine each sched_yield takes as
// long as the other threads' time slices, and 400 of them took seconds.
constexpr int polls_before_sleep = 400;
constexpr std::chrono::microseconds polling_time(200);

// If so many tasks were queued and nobody waited for any, latency does not matter: the worker naps
// instead of polling, and then runs all tasks that have arrived. Polling competes with the threads
// that queue: on two cores it made an add of 16 floats take 8 us instead of 4.
constexpr int tasks_before_naps = 16;
constexpr std::chrono::microseconds nap(30);
constexpr int naps_before_sleep = 100;

class HostFunction : public Task {
  public:
    HostFunction(void (*function)(void*), void* argument)
        : function_(function), argument_(argument) {}
    int run() override {
        function_(argument_);
        return 0;
    }
    const char* name() const override { return "aclrtLaunchHostFunc"; }

  private:
    void (*function_)(void*);
    void* argument_;
};

int next_stream_id() {
    static std::atomic<int> next{1};  // 0 is the default stream of a device's primary context
    return next++;
}

}  // namespace

template <>
void HandlePool<Stream>::destroy(const Stream* stream) {
    static std::mutex mutex;
    static auto* const kept = new std::deque<Slot*>;
    Slot* const slot = slots_ + index_of(stream);
    slot->state.store(HandleState::destroyed, std::memory_order_release);
    Slot* oldest = nullptr;
    {
        const std::lock_guard<std::mutex> lock(mutex);
        kept->push_back(slot);
        if (kept->size() > kept_destroyed) {
            oldest = kept->front();
            kept->pop_front();
        }
    }
    if (oldest != nullptr) {
        reinterpret_cast<Stream*>(oldest->object)->~Stream();
        give_back(oldest);
    }
}

Stream::Stream(int device, int id, StreamSettings settings, bool counted)
    : device_(device), id_(id), settings_(settings), counted_(counted), worker_([this] {
          work();
      }) {
    if (counted) {
        count_handle(HandleKind::stream, 1);
    }
}

Stream::~Stream() { finish(false); }

void Stream::drop_queued() {
    std::deque<Queued> dropped;  // destroyed without the lock, as tasks may free what they hold
    const std::lock_guard<std::mutex> lock(mutex_);
    dropped.swap(queue_);
    unfinished_ -= static_cast<int>(dropped.size());
    if (unfinished_ == 0) {
        is_done_.notify_all();
    }
}

void Stream::finish(bool drop) {
    if (drop) {
        drop_queued();
    }
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        ending_ = true;
        has_work_.notify_all();
    }
    if (worker_.joinable()) {
        worker_.join();
    }
}

int Stream::push(TaskPtr task) {
    if (add_to_capture(*this, task)) {
        return 0;
    }
    if (options().races) {
        note_task(device_, id_, *task);
    }
    const QueueingCall call = is_profiling() ? queueing_call() : QueueingCall();
    bool wake = false;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        queue_.push_back({std::move(task), call});
        ++unfinished_;
        ++unwaited_;
        wake = worker_sleeps_;
        worker_sleeps_ = false;
    }
    if (wake) {
        has_work_.notify_one();
    }
    return options().synchronous ? synchronize(-1) : 0;
}

bool Stream::is_idle() {
    unwaited_ = 0;
    return unfinished_ == 0;
}

int Stream::check_caller() const {
    return worker_.get_id() != std::this_thread::get_id()
               ? 0
               : fail(ACL_ERROR_RT_STREAM_CONTEXT,
                      "a function that runs on stream " + std::to_string(id_) +
                          " must not wait for it or destroy it: the wait would never end");
}

int Stream::wait_until_done(std::unique_lock<std::mutex>& lock, int timeout_ms) {
    if (const int refused = check_caller()) {
        return refused;
    }
    const auto done = [this] { return unfinished_ == 0; };
    ++waiters_;
    unwaited_ = 0;
    if (worker_naps_) {
        has_work_.notify_one();
    }
    bool in_time = true;
    if (timeout_ms < 0) {
        is_done_.wait(lock, done);
    } else {
        in_time = is_done_.wait_for(lock, std::chrono::milliseconds(timeout_ms), done);
    }
    --waiters_;
    if (!in_time) {
        return fail(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT,
                    "stream " + std::to_string(id_) + " did not finish " +
                        std::to_string(unfinished_) + " tasks within " +
                        std::to_string(timeout_ms) + " ms");
    }
    if (options().races) {
        note_host_wait(device_, id_);
    }
    return 0;
}

int Stream::wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    return wait_until_done(lock, -1);
}

int Stream::synchronize(int timeout_ms) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (const int refused = wait_until_done(lock, timeout_ms)) {
        return refused;
    }
    const int code = error_;
    error_ = 0;
    return code == 0 ? 0 : fail_as_task(code, error_message_);
}

void Stream::poll() {
    const auto until = std::chrono::steady_clock::now() + polling_time;
    for (int polls = 0; polls < polls_before_sleep && unfinished_ == 0 && !ending_ &&
                        unwaited_ < tasks_before_naps && std::chrono::steady_clock::now() < until;
         ++polls) {
        sched_yield();
    }
}

Stream::Queued Stream::next() {
    poll();
    std::unique_lock<std::mutex> lock(mutex_);
    for (int naps = 0;
         naps < naps_before_sleep && queue_.empty() && !ending_ && unwaited_ >= tasks_before_naps;
         ++naps) {
        worker_naps_ = true;
        has_work_.wait_for(lock, nap);
        worker_naps_ = false;
    }
    while (queue_.empty() && !ending_) {
        worker_sleeps_ = true;
        has_work_.wait(lock);
    }
    worker_sleeps_ = false;
    if (queue_.empty()) {
        return {};
    }
    Queued queued = std::move(queue_.front());
    queue_.pop_front();
    return queued;
}

void Stream::work() {
    char name[16];
    std::snprintf(name, sizeof name, "npu%d-s%d", device_, id_);
    pthread_setname_np(pthread_self(), name);
    prctl(PR_SET_TIMERSLACK, 1000);  // ns; the default makes a nap 50 us longer
    set_current_device(device_);
    for (Queued queued = next(); queued.task != nullptr; queued = next()) {
        run(*queued.task, queued.call);
        queued.task.reset();  // before waiters are notified, as they may free what it holds
        const std::lock_guard<std::mutex> lock(mutex_);
        if (--unfinished_ == 0 && waiters_ != 0) {
            is_done_.notify_all();
        }
    }
}

void Stream::run(Task& task, const QueueingCall& call) {
    const bool traced = tracing_tasks();
    const auto begin =
        traced ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    if (options().task_delay_us != 0) {
        usleep(static_cast<useconds_t>(options().task_delay_us));
    }
    const std::int64_t profile_begin = call.time != 0 ? profile_time() : 0;
    set_current_function(task.name());
    int code = 0;
    try {
        code = task.run();
    } catch (const std::exception& error) {
        code = fail(ACL_ERROR_RT_AICORE_EXCEPTION, error.what());
    }
    if (call.time != 0) {
        profile_task(task.name(), device_, id_, call, profile_begin, profile_time());
    }
    if (traced) {
        trace_task(task.name(), device_, id_, begin, std::chrono::steady_clock::now(),
                   task.arguments());
    }
    if (code != 0) {
        std::string message = note_task_error(task.name(), code);
        const std::lock_guard<std::mutex> lock(mutex_);
        if (error_ == 0) {
            error_ = code;
            error_message_ = std::move(message);
        }
    }
}

Stream* stream_of(void* handle) {
    if (handle == nullptr) {
        return current_default_stream();
    }
    auto* stream = static_cast<Stream*>(handle);
    const std::string problem = why_unusable(stream);
    if (!problem.empty()) {
        fail(ACL_ERROR_RT_INVALID_HANDLE, problem);
        return nullptr;
    }
    return stream;
}

int enqueue(void* handle, TaskPtr task) {
    Stream* stream = stream_of(handle);
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE
                             : stream->push(with_fault(std::move(task)));
}

Stream* create_default_stream(DeviceState& state, bool of_primary) {
    watch_forks();
    const int id = of_primary ? 0 : next_stream_id();
    auto* stream = make_handle<Stream>(state.id, id, StreamSettings(), false);
    state.streams.insert(stream);
    return stream;
}

Stream* create_stream(StreamSettings settings, bool counted) {
    watch_forks();
    DeviceState& state = device_state(current_device());
    auto* stream = make_handle<Stream>(state.id, next_stream_id(), settings, counted);
    const std::lock_guard<std::mutex> lock(state.mutex);
    state.streams.insert(stream);
    return stream;
}

int destroy_stream(Stream* stream, bool drop) {
    if (const int refused = stream->check_caller()) {
        return refused;
    }
    DeviceState& state = device_state(stream->device());
    {
        const std::lock_guard<std::mutex> lock(state.mutex);
        if (stream == state.default_stream) {
            return fail(ACL_ERROR_RT_PARAM_INVALID,
                        "the stream must not be the default stream, which cannot be destroyed");
        }
        state.streams.erase(stream);
    }
    stream->finish(drop);
    if (stream->counted()) {
        count_handle(HandleKind::stream, -1);
    }
    const int id = stream->id();
    destroy_handle(stream);
    if (options().races) {  // all its tasks have ended
        note_host_wait(state.id, id);
    }
    return 0;
}

TaskPtr host_function_task(void (*function)(void*), void* argument) {
    return std::make_shared<HostFunction>(function, argument);
}

}  // namespace ascend_emulator
