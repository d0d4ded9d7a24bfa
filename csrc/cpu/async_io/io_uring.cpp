// io_uring without liburing: two rings in memory that is shared with the kernel.
//
// Only operations of Linux 5.1 are used, so that every kernel with io_uring will do.
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

#include "cpu/async_io/backend.h"

namespace ascend_ops::async_io {
namespace {

// The numbers are the same on every architecture; old headers lack them.
constexpr long io_uring_setup_number = 425;
constexpr long io_uring_enter_number = 426;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// A part of the rings, mapped into this process.
class Mapping {
  public:
    Mapping(int fd, std::size_t bytes, std::int64_t offset) : bytes_(bytes) {
        address_ =
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
        if (address_ == MAP_FAILED) {
            fail("mmap of an io_uring");
        }
    }
    ~Mapping() { munmap(address_, bytes_); }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    template <class T>
    T* at(std::size_t offset) const {
        return reinterpret_cast<T*>(static_cast<char*>(address_) + offset);
    }

  private:
    void* address_;
    std::size_t bytes_;
};

class RingDescriptor {
  public:
    RingDescriptor(std::size_t depth, io_uring_params& parameters)
        : fd_(static_cast<int>(syscall(io_uring_setup_number, depth, &parameters))) {
        if (fd_ < 0) {
            fail("io_uring_setup");
        }
    }
    ~RingDescriptor() { close(fd_); }
    RingDescriptor(const RingDescriptor&) = delete;
    RingDescriptor& operator=(const RingDescriptor&) = delete;

    int get() const { return fd_; }

  private:
    int fd_;
};

class IoUring : public Backend {
  public:
    explicit IoUring(std::size_t depth)
        : parts_(depth),
          ring_(depth, parameters_),
          submissions_(ring_.get(),
                       parameters_.sq_off.array + parameters_.sq_entries * sizeof(std::uint32_t),
                       IORING_OFF_SQ_RING),
          completions_(ring_.get(),
                       parameters_.cq_off.cqes + parameters_.cq_entries * sizeof(io_uring_cqe),
                       IORING_OFF_CQ_RING),
          entries_(ring_.get(), parameters_.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES) {}

    void submit(const Block* const* blocks, std::size_t count) override {
        auto* tail = submissions_.at<std::uint32_t>(parameters_.sq_off.tail);
        const auto mask = *submissions_.at<std::uint32_t>(parameters_.sq_off.ring_mask);
        auto* indices = submissions_.at<std::uint32_t>(parameters_.sq_off.array);
        std::uint32_t next = *tail;  // written only here
        for (std::size_t i = 0; i < count; ++i, ++next) {
            fill(entries_.at<io_uring_sqe>(0)[next & mask], *blocks[i]);
            indices[next & mask] = next & mask;
        }
        __atomic_store_n(tail, next, __ATOMIC_RELEASE);
        while (count > 0) {
            const std::size_t taken = enter(count, 0);
            count -= taken;
            if (taken == 0) {  // the kernel is short of memory for requests
                std::this_thread::yield();
            }
        }
    }

    void wait(std::size_t at_least, std::vector<Completion>& completed) override {
        const std::size_t wanted = completed.size() + at_least;
        collect(completed);
        while (completed.size() < wanted) {
            enter(0, wanted - completed.size());
            collect(completed);
        }
    }

  private:
    void fill(io_uring_sqe& entry, const Block& block) {
        iovec& part = parts_[block.slot];
        part = {block.data, block.bytes};
        std::memset(&entry, 0, sizeof entry);
        entry.opcode = block.write ? IORING_OP_WRITEV : IORING_OP_READV;
        entry.fd = block.fd;
        entry.off = static_cast<std::uint64_t>(block.offset);
        entry.addr = reinterpret_cast<std::uint64_t>(&part);
        entry.len = 1;
        entry.user_data = block.slot;
    }

    /// Return how many entries the kernel took; 0 if it could take none for now.
    std::size_t enter(std::size_t to_submit, std::size_t to_wait_for) {
        const unsigned flags = to_wait_for == 0 ? 0U : IORING_ENTER_GETEVENTS;
        const long taken =
            syscall(io_uring_enter_number, ring_.get(), to_submit, to_wait_for, flags, nullptr, 0);
        if (taken >= 0) {
            return static_cast<std::size_t>(taken);
        }
        if (errno != EINTR && errno != EAGAIN && errno != EBUSY) {
            fail("io_uring_enter");
        }
        return 0;
    }

    void collect(std::vector<Completion>& completed) {
        auto* head = completions_.at<std::uint32_t>(parameters_.cq_off.head);
        const auto* tail = completions_.at<std::uint32_t>(parameters_.cq_off.tail);
        const auto mask = *completions_.at<std::uint32_t>(parameters_.cq_off.ring_mask);
        const auto* entries = completions_.at<io_uring_cqe>(parameters_.cq_off.cqes);
        std::uint32_t next = *head;  // written only here
        for (; next != __atomic_load_n(tail, __ATOMIC_ACQUIRE); ++next) {
            const io_uring_cqe& entry = entries[next & mask];
            completed.push_back({static_cast<std::size_t>(entry.user_data), entry.res});
        }
        __atomic_store_n(head, next, __ATOMIC_RELEASE);
    }

    std::vector<iovec> parts_;  // by slot; the kernel of Linux 5.1 reads them after submission
    io_uring_params parameters_{};
    RingDescriptor ring_;
    Mapping submissions_;
    Mapping completions_;
    Mapping entries_;
};

}  // namespace

std::unique_ptr<Backend> make_io_uring(std::size_t depth) {
    return std::make_unique<IoUring>(depth);
}

}  // namespace ascend_ops::async_io
