// A thread that carries out its part of every transfer, in order, with many blocks in flight.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "cpu/async_io/backend.h"
#include "cpu/async_io/transfer.h"

namespace ascend_ops::async_io {

/// Also the layout that Python reads.
struct Statistics {
    std::int64_t blocks = 0;        // started, including those that were started again
    std::int64_t submissions = 0;   // groups of blocks that were started together
    std::int64_t in_flight = 0;     // the maximum
    std::int64_t direct_bytes = 0;  // past the page cache
    std::int64_t cached_bytes = 0;  // through it
};

class Worker {
  public:
    using Finished = std::function<void(const Failure&)>;

    /// `finished` is called by the worker that ends a transfer.
    Worker(const Options& options, std::unique_ptr<Backend> backend, Finished finished);

    /// Completes what was pushed.
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void push(std::shared_ptr<Transfer> transfer, const Shard& shard);

    void add_to(Statistics& sum) const;

  private:
    /// A shard of which blocks are still to be started, or in flight.
    struct Active {
        std::shared_ptr<Transfer> transfer;
        Shard left;
        std::size_t in_flight = 0;
        bool exhausted() const { return left.begin >= left.end || transfer->failed(); }
    };
    struct Slot {
        Block block;
        Active* shard = nullptr;
        std::int64_t position = 0;  // in the tensor
        bool direct = false;
        int retries = 0;
    };

    void run();
    bool take_new(std::unique_lock<std::mutex>& lock);
    void step();
    std::size_t prepare();
    bool prepare_next(Active& shard);
    void submit(std::size_t count);
    void complete(const Completion& completion);
    void advance(Slot& slot, std::int64_t bytes);
    void start_again(Slot& slot);
    void fail(Slot& slot, Failure::Cause cause, int error);
    void release(Slot& slot);
    void end_shards();
    void fail_all(int error);

    const Options options_;
    const std::unique_ptr<Backend> backend_;
    const Finished finished_;

    std::deque<Active> active_;  // a deque does not move its elements
    std::vector<Slot> slots_;
    std::vector<std::size_t> free_;
    std::vector<const Block*> prepared_;  // next to be submitted
    std::size_t in_flight_ = 0;
    int broken_ = 0;  // errno of the backend's own failure, after which it is not used

    std::mutex mutex_;
    std::condition_variable pushed_;
    std::deque<Active> queue_;
    bool stopping_ = false;

    mutable std::mutex statistics_mutex_;
    Statistics statistics_;

    std::thread thread_;
};

}  // namespace ascend_ops::async_io
