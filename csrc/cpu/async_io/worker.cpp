#include "cpu/async_io/worker.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace ascend_ops::async_io {
namespace {

// A kernel that is short of memory answers EAGAIN. After so many answers it is an error.
constexpr int max_retries = 10000;

}  // namespace

Worker::Worker(const Options& options, std::unique_ptr<Backend> backend, Finished finished)
    : options_(options),
      backend_(std::move(backend)),
      finished_(std::move(finished)),
      slots_(options.queue_depth) {
    for (std::size_t slot = slots_.size(); slot-- > 0;) {
        slots_[slot].block.slot = slot;
        free_.push_back(slot);
    }
    thread_ = std::thread([this] { run(); });
}

Worker::~Worker() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    pushed_.notify_one();
    thread_.join();
}

void Worker::push(std::shared_ptr<Transfer> transfer, const Shard& shard) {
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back({std::move(transfer), shard});
    }
    pushed_.notify_one();
}

void Worker::add_to(Statistics& sum) const {
    const std::lock_guard lock(statistics_mutex_);
    sum.blocks += statistics_.blocks;
    sum.submissions += statistics_.submissions;
    sum.in_flight = std::max(sum.in_flight, statistics_.in_flight);
    sum.direct_bytes += statistics_.direct_bytes;
    sum.cached_bytes += statistics_.cached_bytes;
}

void Worker::run() {
    std::unique_lock lock(mutex_);
    while (take_new(lock)) {
        lock.unlock();
        try {
            if (broken_ == 0) {
                step();
            }
        } catch (const std::system_error& error) {
            broken_ = error.code().value();
        }
        if (broken_ != 0) {
            fail_all(broken_);
        }
        end_shards();
        lock.lock();
    }
}

/// Wait for a shard if there is none; false at the end.
bool Worker::take_new(std::unique_lock<std::mutex>& lock) {
    if (active_.empty()) {
        pushed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    }
    for (; !queue_.empty(); queue_.pop_front()) {
        active_.push_back(std::move(queue_.front()));
    }
    return !active_.empty();
}

/// Start as many blocks as fit, and wait for one of them, or for all.
void Worker::step() {
    const std::size_t prepared = prepare();
    const std::size_t group = options_.single_submit ? 1 : prepared;
    for (std::size_t started = 0; started < prepared; started += group) {
        submit(group);
    }
    if (in_flight_ == 0) {
        return;
    }
    std::vector<Completion> completed;
    backend_->wait(options_.overlap_events ? 1 : in_flight_, completed);
    for (const Completion& each : completed) {
        complete(each);
    }
}

std::size_t Worker::prepare() {
    for (Active& shard : active_) {
        while (!free_.empty() && !shard.exhausted() && prepare_next(shard)) {
        }
    }
    return prepared_.size();
}

/// Prepare the next block of a shard; false if its file cannot be opened.
bool Worker::prepare_next(Active& shard) {
    Transfer& transfer = *shard.transfer;
    const Request& request = transfer.request();
    const std::int64_t position = shard.left.begin;
    const Piece piece = transfer.piece(position, shard.left.end, options_.block_size);
    const int fd = piece.direct ? transfer.file().direct() : transfer.file().cached(request.write);
    if (fd < 0) {
        transfer.fail(Failure::system, -fd, position);
        return false;
    }
    Slot& slot = slots_[free_.back()];
    free_.pop_back();
    slot.shard = &shard;
    slot.position = position;
    slot.direct = piece.direct;
    slot.retries = 0;
    slot.block.write = request.write;
    slot.block.fd = fd;
    slot.block.data = request.data + position;
    slot.block.bytes = static_cast<std::size_t>(piece.bytes);
    slot.block.offset = request.offset + position;
    prepared_.push_back(&slot.block);
    shard.left.begin += piece.bytes;
    ++shard.in_flight;
    return true;
}

/// Submit the first `count` of the prepared blocks.
void Worker::submit(std::size_t count) {
    in_flight_ += count;
    {
        const std::lock_guard lock(statistics_mutex_);
        statistics_.blocks += static_cast<std::int64_t>(count);
        ++statistics_.submissions;
        statistics_.in_flight =
            std::max(statistics_.in_flight, static_cast<std::int64_t>(in_flight_));
    }
    const std::vector<const Block*> group(prepared_.begin(),
                                          prepared_.begin() + static_cast<std::ptrdiff_t>(count));
    prepared_.erase(prepared_.begin(), prepared_.begin() + static_cast<std::ptrdiff_t>(count));
    backend_->submit(group.data(), group.size());
}

void Worker::complete(const Completion& completion) {
    Slot& slot = slots_[completion.slot];
    --in_flight_;
    const auto error = static_cast<int>(completion.result < 0 ? -completion.result : 0);
    if ((error == EAGAIN || error == EINTR) && ++slot.retries < max_retries) {
        std::this_thread::yield();
        start_again(slot);
    } else if (error == EINVAL && slot.direct) {  // this device demands more than was assumed
        slot.direct = false;
        start_again(slot);
    } else if (error != 0) {
        fail(slot, Failure::system, error);
    } else if (completion.result == 0) {
        fail(slot, Failure::end_of_file, 0);
    } else {
        advance(slot, completion.result);
    }
}

/// Note that the first bytes of a block are done, and go on with the rest if there is one.
void Worker::advance(Slot& slot, std::int64_t bytes) {
    {
        const std::lock_guard lock(statistics_mutex_);
        (slot.direct ? statistics_.direct_bytes : statistics_.cached_bytes) += bytes;
    }
    const auto done = std::min(static_cast<std::size_t>(bytes), slot.block.bytes);
    slot.block.bytes -= done;
    if (slot.block.bytes == 0) {
        release(slot);
        return;
    }
    slot.block.data += done;
    slot.block.offset += static_cast<std::int64_t>(done);
    slot.position += static_cast<std::int64_t>(done);
    slot.direct = slot.direct && slot.shard->transfer->may_bypass_cache(slot.position);
    start_again(slot);
}

void Worker::start_again(Slot& slot) {
    Transfer& transfer = *slot.shard->transfer;
    if (transfer.failed()) {
        release(slot);
        return;
    }
    if (!slot.direct) {
        slot.block.fd = transfer.file().cached(slot.block.write);
        if (slot.block.fd < 0) {
            fail(slot, Failure::system, -slot.block.fd);
            return;
        }
    }
    prepared_.push_back(&slot.block);
}

void Worker::fail(Slot& slot, Failure::Cause cause, int error) {
    slot.shard->transfer->fail(cause, error, slot.position);
    release(slot);
}

void Worker::release(Slot& slot) {
    --slot.shard->in_flight;
    slot.shard = nullptr;
    free_.push_back(slot.block.slot);
}

/// Forget the shards that are done, from the oldest on, and end the transfers that are.
void Worker::end_shards() {
    while (!active_.empty() && active_.front().exhausted() && active_.front().in_flight == 0) {
        const std::shared_ptr<Transfer> transfer = std::move(active_.front().transfer);
        active_.pop_front();
        if (transfer->end_shard()) {
            finished_(transfer->finish());
        }
    }
}

/// End every transfer with an error: the kernel's interface itself has failed, as it does after a
/// program has closed all descriptors.
void Worker::fail_all(int error) {
    prepared_.clear();
    in_flight_ = 0;
    for (Slot& slot : slots_) {
        if (slot.shard != nullptr) {
            fail(slot, Failure::system, error);
        }
    }
    for (Active& shard : active_) {
        shard.transfer->fail(Failure::system, error, shard.left.begin);
    }
}

}  // namespace ascend_ops::async_io
