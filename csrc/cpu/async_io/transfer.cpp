#include "cpu/async_io/transfer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace ascend_ops::async_io {
namespace {

// The strictest that block devices demand of memory, but for those with sectors of 4096 bytes and
// kernels before 6.0; they refuse with EINVAL, and the block goes through the page cache.
constexpr std::int64_t memory_alignment = 512;

std::int64_t page_size() {
    static const std::int64_t size = sysconf(_SC_PAGESIZE);
    return size;
}

std::int64_t round_down(std::int64_t value, std::int64_t unit) { return value - value % unit; }

}  // namespace

Transfer::Transfer(std::uint64_t id, const Request& request, std::size_t shards)
    : request_(request), file_(request.fd, request.direct), page_(page_size()), shards_(shards) {
    failure_.transfer = id;
}

bool Transfer::may_bypass_cache(std::int64_t position) const {
    const auto address = reinterpret_cast<std::uintptr_t>(request_.data + position);
    return request_.direct && (request_.offset + position) % page_ == 0 &&
           address % memory_alignment == 0;
}

Piece Transfer::piece(std::int64_t position, std::int64_t end, std::int64_t block_size) const {
    const std::int64_t left = end - position;
    if (may_bypass_cache(position) && left >= page_) {
        const std::int64_t block = std::max(round_down(block_size, page_), page_);
        return {std::min(block, round_down(left, page_)), true};
    }
    const std::int64_t to_page = page_ - (request_.offset + position) % page_;
    const bool bypass_later = left >= to_page + page_ && may_bypass_cache(position + to_page);
    return {std::min({left, block_size, bypass_later ? to_page : left}), false};
}

void Transfer::fail(Failure::Cause cause, int error, std::int64_t position) {
    const std::lock_guard lock(mutex_);
    if (failure_.cause == Failure::none) {
        failure_.cause = cause;
        failure_.error = error;
        failure_.position = position;
        failed_.store(true, std::memory_order_release);
    }
}

Failure Transfer::finish() {
    if (request_.validate && !failed()) {
        const int fd = file_.direct() >= 0 ? file_.direct() : file_.cached(request_.write);
        const std::int64_t same =
            first_difference(fd, request_.data, request_.bytes, request_.offset);
        if (same < 0) {
            fail(Failure::system, static_cast<int>(-same), 0);
        } else if (same < request_.bytes) {
            fail(Failure::difference, 0, same);
        }
    }
    const int error = file_.close();
    if (error != 0 && request_.write) {
        fail(Failure::system, error, request_.bytes);
    }
    const std::lock_guard lock(mutex_);
    return failure_;
}

Shard shard_of(const Request& request, std::size_t index, std::size_t count) {
    const std::int64_t page = page_size();
    const auto boundary = [&](std::size_t number) {
        if (number == count) {
            return request.bytes;
        }
        const auto share =
            static_cast<std::int64_t>(number) * (request.bytes / static_cast<std::int64_t>(count));
        return std::max<std::int64_t>(0, round_down(request.offset + share, page) - request.offset);
    };
    return {boundary(index), boundary(index + 1)};
}

}  // namespace ascend_ops::async_io
