// pread and pwrite, for kernels and containers that allow nothing else. Blocks of different workers
// run at the same time; those of one worker run one after another.
#include <unistd.h>

#include <cerrno>

#include "cpu/async_io/backend.h"

namespace ascend_ops::async_io {
namespace {

class Blocking : public Backend {
  public:
    void submit(const Block* const* blocks, std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i) {
            done_.push_back({blocks[i]->slot, transfer_now(*blocks[i])});
        }
    }

    void wait(std::size_t /*at_least*/, std::vector<Completion>& completed) override {
        completed.insert(completed.end(), done_.begin(), done_.end());
        done_.clear();
    }

  private:
    std::vector<Completion> done_;
};

}  // namespace

std::int64_t transfer_now(const Block& block) {
    const ssize_t result = block.write ? pwrite(block.fd, block.data, block.bytes, block.offset)
                                       : pread(block.fd, block.data, block.bytes, block.offset);
    return result < 0 ? -std::int64_t{errno} : result;
}

std::unique_ptr<Backend> make_blocking() { return std::make_unique<Blocking>(); }

std::unique_ptr<Backend> make_backend(Kind kind, std::size_t depth) {
    switch (kind) {
        case Kind::io_uring:
            return make_io_uring(depth);
        case Kind::kernel_aio:
            return make_kernel_aio(depth);
        case Kind::blocking:
            break;
    }
    return make_blocking();
}

}  // namespace ascend_ops::async_io
