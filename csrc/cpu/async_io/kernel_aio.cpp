// The kernel's asynchronous I/O, the interface that libaio wraps.
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "cpu/async_io/backend.h"

namespace ascend_ops::async_io {
namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

class KernelAio : public Backend {
  public:
    explicit KernelAio(std::size_t depth) : requests_(depth), events_(depth) {
        if (syscall(SYS_io_setup, depth, &context_) != 0) {
            fail("io_setup");
        }
    }
    ~KernelAio() override { syscall(SYS_io_destroy, context_); }
    KernelAio(const KernelAio&) = delete;
    KernelAio& operator=(const KernelAio&) = delete;

    void submit(const Block* const* blocks, std::size_t count) override {
        pointers_.clear();
        for (std::size_t i = 0; i < count; ++i) {
            iocb& request = requests_[blocks[i]->slot];
            fill(request, *blocks[i]);
            pointers_.push_back(&request);
        }
        std::size_t done = 0;
        while (done < count) {
            const long taken =
                syscall(SYS_io_submit, context_, count - done, pointers_.data() + done);
            if (taken > 0) {
                done += static_cast<std::size_t>(taken);
            } else if (taken == 0 || errno == EAGAIN || errno == EINTR) {
                postpone(done, count, EAGAIN);
                return;
            } else {  // the first of them, as on a device that has no asynchronous I/O
                refused_.push_back({blocks[done]->slot, transfer_now(*blocks[done])});
                ++done;
            }
        }
    }

    void wait(std::size_t at_least, std::vector<Completion>& completed) override {
        const std::size_t wanted = completed.size() + at_least;
        completed.insert(completed.end(), refused_.begin(), refused_.end());
        refused_.clear();
        while (completed.size() < wanted) {
            const long found = syscall(SYS_io_getevents, context_, wanted - completed.size(),
                                       events_.size(), events_.data(), nullptr);
            if (found < 0 && errno != EINTR) {
                fail("io_getevents");
            }
            for (long i = 0; i < found; ++i) {
                const io_event& event = events_[static_cast<std::size_t>(i)];
                completed.push_back({event.data, event.res});
            }
        }
    }

  private:
    static void fill(iocb& request, const Block& block) {
        request = iocb{};
        request.aio_lio_opcode = block.write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
        request.aio_fildes = static_cast<std::uint32_t>(block.fd);
        request.aio_buf = reinterpret_cast<std::uint64_t>(block.data);
        request.aio_nbytes = block.bytes;
        request.aio_offset = block.offset;
        request.aio_data = block.slot;
    }

    /// Complete the rest with `error`, after which the caller tries them again.
    void postpone(std::size_t first, std::size_t count, int error) {
        for (std::size_t i = first; i < count; ++i) {
            refused_.push_back({pointers_[i]->aio_data, -std::int64_t{error}});
        }
    }

    aio_context_t context_ = 0;
    std::vector<iocb> requests_;  // by slot
    std::vector<iocb*> pointers_;
    std::vector<io_event> events_;
    std::vector<Completion> refused_;
};

}  // namespace

std::unique_ptr<Backend> make_kernel_aio(std::size_t depth) {
    return std::make_unique<KernelAio>(depth);
}

}  // namespace ascend_ops::async_io
