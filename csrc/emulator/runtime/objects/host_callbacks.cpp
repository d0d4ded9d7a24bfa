#include "emulator/runtime/objects/host_callbacks.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "acl/acl_rt.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

struct Call {
    int stream;
    HostCallback function;
    void* argument;
    bool done = false;
};

using CallPtr = std::shared_ptr<Call>;

/// What all threads and streams share.
struct Board {
    std::mutex mutex;
    std::condition_variable changed;
    std::map<int, std::uint64_t> thread_of_stream;
    std::map<std::uint64_t, std::deque<CallPtr>> calls;  // by thread

    bool has_subscriber(std::uint64_t thread) const {
        for (const auto& [stream, subscriber] : thread_of_stream) {
            if (subscriber == thread) {
                return true;
            }
        }
        return false;
    }
};

Board& board() {
    static auto* const only = new Board;
    return *only;
}

class Callback : public Task {
  public:
    Callback(int stream, HostCallback function, void* argument, bool blocks)
        : stream_(stream), function_(function), argument_(argument), blocks_(blocks) {}

    int run() override {
        Board& all = board();
        std::unique_lock<std::mutex> lock(all.mutex);
        const auto found = all.thread_of_stream.find(stream_);
        if (found == all.thread_of_stream.end()) {
            return fail(ACL_ERROR_RT_STREAM_NO_CB_REG,
                        "no thread is subscribed to stream " + std::to_string(stream_) +
                            " any more, so that the function was not run");
        }
        const auto call = std::make_shared<Call>(Call{stream_, function_, argument_});
        all.calls[found->second].push_back(call);
        all.changed.notify_all();
        if (blocks_) {
            all.changed.wait(lock, [&call] { return call->done; });
        }
        return 0;
    }
    const char* name() const override { return "aclrtLaunchCallback"; }

  private:
    const int stream_;
    const HostCallback function_;
    void* const argument_;
    const bool blocks_;
};

}  // namespace

int subscribe(std::uint64_t thread, const Stream& stream) {
    Board& all = board();
    const std::lock_guard<std::mutex> lock(all.mutex);
    const auto added = all.thread_of_stream.emplace(stream.id(), thread);
    if (!added.second && added.first->second != thread) {
        return fail(ACL_ERROR_RT_STREAM_SUBSCRIBE,
                    "the stream must not have a thread yet; call "
                    "aclrtUnSubscribeReport first");
    }
    all.changed.notify_all();
    return 0;
}

int unsubscribe(std::uint64_t thread, const Stream& stream) {
    Board& all = board();
    const std::lock_guard<std::mutex> lock(all.mutex);
    const auto found = all.thread_of_stream.find(stream.id());
    if (found == all.thread_of_stream.end() || found->second != thread) {
        return fail(ACL_ERROR_RT_THREAD_SUBSCRIBE, "the thread must be subscribed to the stream");
    }
    all.thread_of_stream.erase(found);
    std::deque<CallPtr>& calls = all.calls[thread];
    for (auto call = calls.begin(); call != calls.end();) {
        (*call)->done = (*call)->stream == stream.id();
        call = (*call)->done ? calls.erase(call) : std::next(call);
    }
    all.changed.notify_all();
    return 0;
}

bool is_subscribed(const Stream& stream) {
    Board& all = board();
    const std::lock_guard<std::mutex> lock(all.mutex);
    return all.thread_of_stream.count(stream.id()) != 0;
}

TaskPtr callback_task(const Stream& stream, HostCallback function, void* argument, bool blocks) {
    return std::make_shared<Callback>(stream.id(), function, argument, blocks);
}

int process_callbacks(int timeout_ms) {
    const auto self = static_cast<std::uint64_t>(pthread_self());
    Board& all = board();
    std::unique_lock<std::mutex> lock(all.mutex);
    const auto ready = [&all, self] { return !all.calls[self].empty(); };
    if (timeout_ms < 0) {
        all.changed.wait(lock, ready);
    } else if (!all.changed.wait_for(lock, std::chrono::milliseconds(timeout_ms), ready)) {
        return all.has_subscriber(self)
                   ? fail(ACL_ERROR_RT_REPORT_TIMEOUT,
                          "no function arrived within " + std::to_string(timeout_ms) + " ms")
                   : fail(ACL_ERROR_RT_THREAD_SUBSCRIBE,
                          "this thread must be subscribed to a stream (aclrtSubscribeReport)");
    }
    while (ready()) {
        const CallPtr call = all.calls[self].front();
        all.calls[self].pop_front();
        lock.unlock();
        call->function(call->argument);
        lock.lock();
        call->done = true;
        all.changed.notify_all();
    }
    return 0;
}

}  // namespace ascend_emulator
