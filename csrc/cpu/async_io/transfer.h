// One read or write of a tensor, and how it is cut into blocks.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "cpu/async_io/backend.h"
#include "cpu/async_io/file.h"

namespace ascend_ops::async_io {

struct Options {
    std::int64_t block_size = 1 << 20;
    std::size_t queue_depth = 128;
    bool single_submit = false;   // one system call per block
    bool overlap_events = false;  // start a block as soon as another has completed
};

/// Why a transfer failed. Also the layout that Python reads.
struct Failure {
    enum Cause : std::int32_t { none = 0, system = 1, end_of_file = 2, difference = 3 };

    std::uint64_t transfer = 0;
    std::int32_t cause = none;
    std::int32_t error = 0;     // errno, if the cause is `system`
    std::int64_t position = 0;  // in the tensor, in bytes
};

struct Request {
    bool write = false;
    bool validate = false;  // read the file again afterwards, and compare
    bool direct = false;    // fd was opened with O_DIRECT
    int fd = -1;
    char* data = nullptr;
    std::int64_t bytes = 0;
    std::int64_t offset = 0;
};

/// What is read or written next: past the page cache if `direct`, else through it.
struct Piece {
    std::int64_t bytes;
    bool direct;
};

class Transfer {
  public:
    Transfer(std::uint64_t id, const Request& request, std::size_t shards);

    const Request& request() const { return request_; }
    File& file() { return file_; }

    /// The piece at `position`, which ends at `end` or before it.
    ///
    /// Only whole pages of the file bypass the page cache: if a page were written in both ways, its
    /// older half could be written back over the newer one.
    Piece piece(std::int64_t position, std::int64_t end, std::int64_t block_size) const;

    /// Whether O_DIRECT permits a block to begin here.
    bool may_bypass_cache(std::int64_t position) const;

    void fail(Failure::Cause cause, int error, std::int64_t position);
    bool failed() const { return failed_.load(std::memory_order_acquire); }

    /// End one shard; true for the last one.
    bool end_shard() { return shards_.fetch_sub(1, std::memory_order_acq_rel) == 1; }

    /// After the last shard: compare if requested, and close the file.
    Failure finish();

  private:
    Request request_;
    File file_;
    std::int64_t page_;
    std::atomic<std::size_t> shards_;
    std::atomic<bool> failed_{false};
    std::mutex mutex_;
    Failure failure_;
};

/// The part of a transfer that one worker does.
struct Shard {
    std::int64_t begin;
    std::int64_t end;
};

/// The part with number `index` of `count` parts. They meet at multiples of a page of the file.
Shard shard_of(const Request& request, std::size_t index, std::size_t count);

}  // namespace ascend_ops::async_io
