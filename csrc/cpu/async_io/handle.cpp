#include "cpu/async_io/handle.h"

#include <utility>

namespace ascend_ops::async_io {

Handle::Handle(const Options& options, Kind kind, std::size_t workers) {
    for (std::size_t i = 0; i < workers; ++i) {
        workers_.push_back(
            std::make_unique<Worker>(options, make_backend(kind, options.queue_depth),
                                     [this](const Failure& failure) { finished(failure); }));
    }
}

std::uint64_t Handle::start(const Request& request) {
    std::uint64_t id = 0;
    {
        const std::lock_guard lock(mutex_);
        id = ++started_;
        ++pending_;
    }
    const auto transfer = std::make_shared<Transfer>(id, request, workers_.size());
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        workers_[i]->push(transfer, shard_of(request, i, workers_.size()));
    }
    return id;
}

std::int64_t Handle::wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return pending_ == 0; });
    return std::exchange(ended_, 0);
}

bool Handle::next_failure(Failure& failure) {
    const std::lock_guard lock(mutex_);
    if (failures_.empty()) {
        return false;
    }
    failure = failures_.front();
    failures_.pop_front();
    return true;
}

Statistics Handle::statistics() const {
    Statistics sum;
    for (const auto& worker : workers_) {
        worker->add_to(sum);
    }
    return sum;
}

void Handle::finished(const Failure& failure) {
    const std::lock_guard lock(mutex_);
    if (failure.cause != Failure::none) {
        failures_.push_back(failure);
    }
    --pending_;
    ++ended_;
    changed_.notify_all();
}

}  // namespace ascend_ops::async_io
