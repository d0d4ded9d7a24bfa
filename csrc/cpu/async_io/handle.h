// Workers that share the transfers of one handle.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "cpu/async_io/transfer.h"
#include "cpu/async_io/worker.h"

namespace ascend_ops::async_io {

class Handle {
  public:
    /// Throws std::system_error if the kernel refuses the backend or a thread.
    Handle(const Options& options, Kind kind, std::size_t workers);

    /// Completes every transfer.
    ~Handle() = default;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    /// Start a transfer, which owns `request.fd` from now on, and return its number.
    std::uint64_t start(const Request& request);

    /// Wait for every transfer. Return how many ended since the last call.
    std::int64_t wait();

    /// Take the oldest failure; false if there is none.
    bool next_failure(Failure& failure);

    Statistics statistics() const;

  private:
    void finished(const Failure& failure);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t started_ = 0;
    std::int64_t pending_ = 0;
    std::int64_t ended_ = 0;
    std::deque<Failure> failures_;
    std::vector<std::unique_ptr<Worker>> workers_;  // the first to be destroyed
};

}  // namespace ascend_ops::async_io
