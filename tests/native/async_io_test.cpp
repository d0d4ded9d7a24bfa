// Workers of async_io on a backend that does what kernels seldom do.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "cpu/async_io/worker.h"
#include "native_test.h"

namespace {

using namespace ascend_ops::async_io;

/// Completes each block with what `behaviour` returns, in the reverse order of submission.
class Strange : public Backend {
  public:
    using Behaviour = std::function<std::int64_t(Block)>;
    explicit Strange(Behaviour behaviour) : behaviour_(std::move(behaviour)) {}

    void submit(const Block* const* blocks, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i) {
            done_.push_back({blocks[i]->slot, behaviour_(*blocks[i])});
        }
    }

    void wait(std::size_t at_least, std::vector<Completion>& completed) override {
        CHECK(at_least <= done_.size());
        for (; at_least > 0; --at_least) {
            completed.push_back(done_.back());
            done_.pop_back();
        }
    }

  private:
    Behaviour behaviour_;
    std::vector<Completion> done_;
};

std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        text[i] = static_cast<char>(i * 131 + i / 256);
    }
    return text;
}

int file_of(const std::string& content) {
    const int fd = memfd_create("async_io_test", MFD_CLOEXEC);
    CHECK(write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    return fd;
}

/// Transfer `memory` from or to `fd`, with blocks of 100 bytes, of which 5 are in flight.
Failure run(bool write, int fd, std::string& memory, Strange::Behaviour behaviour,
            Statistics* statistics = nullptr) {
    std::promise<Failure> ended;
    Options options;
    options.block_size = 100;
    options.queue_depth = 5;
    options.overlap_events = true;
    Worker worker(options, std::make_unique<Strange>(std::move(behaviour)),
                  [&](const Failure& failure) { ended.set_value(failure); });
    Request request;
    request.write = write;
    request.fd = dup(fd);
    request.data = memory.data();
    request.bytes = static_cast<std::int64_t>(memory.size());
    worker.push(std::make_shared<Transfer>(7, request, 1), {0, request.bytes});
    const Failure failure = ended.get_future().get();
    if (statistics != nullptr) {
        worker.add_to(*statistics);
    }
    return failure;
}

TEST(short_reads_go_on_and_interrupted_ones_start_again) {
    const std::string content = pattern(4321);
    const int fd = file_of(content);
    std::string found(content.size(), '\0');
    int calls = 0;
    Statistics statistics;
    const Failure failure = run(
        false, fd, found,
        [&](Block block) -> std::int64_t {
            if (++calls % 3 == 0) {
                return calls % 2 == 0 ? -EAGAIN : -EINTR;
            }
            block.bytes = block.bytes / 2 + 1;
            return transfer_now(block);
        },
        &statistics);
    CHECK(failure.cause == Failure::none);
    CHECK(failure.transfer == 7);
    CHECK(found == content);
    CHECK(statistics.cached_bytes == 4321);
    CHECK(statistics.in_flight == 5);
    close(fd);
}

TEST(short_writes_go_on) {
    const int fd = file_of("");
    std::string content = pattern(1234);
    const Failure failure = run(true, fd, content, [](Block block) {
        block.bytes = block.bytes > 7 ? 7 : block.bytes;
        return transfer_now(block);
    });
    CHECK(failure.cause == Failure::none);
    std::string found(content.size(), '\0');
    CHECK(pread(fd, found.data(), found.size(), 0) == static_cast<ssize_t>(found.size()));
    CHECK(found == content);
    close(fd);
}

TEST(a_file_that_ends_early_is_an_error) {
    const int fd = file_of(pattern(250));
    std::string found(1000, '\0');
    const Failure failure = run(false, fd, found, transfer_now);
    CHECK(failure.cause == Failure::end_of_file);
    CHECK(failure.position >= 250);
    close(fd);
}

TEST(one_block_that_fails_fails_the_transfer) {
    const int fd = file_of("");
    std::string content = pattern(1000);
    const Failure failure = run(true, fd, content, [](Block block) -> std::int64_t {
        return block.offset == 300 ? -ENOSPC : transfer_now(block);
    });
    CHECK(failure.cause == Failure::system);
    CHECK(failure.error == ENOSPC);
    CHECK(failure.position == 300);
    close(fd);
}

TEST(a_kernel_that_never_has_memory_is_an_error) {
    const int fd = file_of(pattern(10));
    std::string found(10, '\0');
    const Failure failure = run(false, fd, found, [](Block) -> std::int64_t { return -EAGAIN; });
    CHECK(failure.error == EAGAIN);
    close(fd);
}

TEST(a_backend_that_breaks_down_fails_all_transfers_from_then_on) {
    std::vector<Failure> failures;
    std::string memory(1000, '\0');
    const int fd = file_of(memory);
    {
        const auto breaks = [](const Block&) -> std::int64_t {
            throw std::system_error(EBADF, std::generic_category());
        };
        Worker worker({}, std::make_unique<Strange>(breaks),
                      [&](const Failure& failure) { failures.push_back(failure); });
        for (std::uint64_t id = 1; id <= 3; ++id) {
            Request request;
            request.fd = dup(fd);
            request.data = memory.data();
            request.bytes = 1000;
            worker.push(std::make_shared<Transfer>(id, request, 1), {0, 1000});
        }
    }
    CHECK(failures.size() == 3);
    for (const Failure& failure : failures) {
        CHECK(failure.error == EBADF);
    }
    close(fd);
}

TEST(the_shards_of_a_transfer_meet_at_pages) {
    Request request;
    const std::int64_t page = sysconf(_SC_PAGESIZE);
    for (const std::int64_t offset : {std::int64_t{0}, std::int64_t{100}, page, 3 * page + 1}) {
        for (const std::int64_t bytes : {std::int64_t{0}, std::int64_t{7}, page, 20 * page + 5}) {
            for (const std::size_t count : {1U, 2U, 3U, 16U}) {
                request.offset = offset;
                request.bytes = bytes;
                std::int64_t position = 0;
                for (std::size_t i = 0; i < count; ++i) {
                    const Shard shard = shard_of(request, i, count);
                    CHECK(shard.begin == position);
                    CHECK(shard.begin == 0 || shard.begin == bytes ||
                          (offset + shard.begin) % page == 0);
                    position = shard.end;
                }
                CHECK(position == bytes);
            }
        }
    }
}

}  // namespace
