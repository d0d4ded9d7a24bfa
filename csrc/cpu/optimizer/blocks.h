// Splits work on the elements of many tensors among threads, by size and not by tensor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/threads.h"

namespace ascend_ops {

/// Elements [begin, end) of tensor `index`: consecutive blocks among the blocks of all tensors.
struct BlockRun {
    std::size_t index;
    std::int64_t begin;
    std::int64_t end;
    std::int64_t first_block;
};

/// Ranges of tensors, cut into blocks of a fixed size.
class Blocks {
  public:
    explicit Blocks(std::int64_t block_size) : size_(block_size) {}

    void add(std::size_t index, std::int64_t begin, std::int64_t end) {
        if (begin < end) {
            runs_.push_back({index, begin, end, count_});
            count_ += (end - begin + size_ - 1) / size_;
        }
    }

    std::int64_t count() const { return count_; }

    /// Calls work(index, begin, end, first_block) in parallel until all blocks are done. Each call
    /// gets whole blocks of one tensor; only the tensor's last block may be shorter. A thread gets
    /// at least `grain` blocks.
    template <class Work>
    void run(std::int64_t grain, const Work& work) const {
        parallel_for(0, count_, grain,
                     [&](std::int64_t begin, std::int64_t end) { run_range(begin, end, work); });
    }

  private:
    template <class Work>
    void run_range(std::int64_t begin, std::int64_t end, const Work& work) const {
        auto run = std::upper_bound(
            runs_.begin(), runs_.end(), begin,
            [](std::int64_t block, const BlockRun& other) { return block < other.first_block; });
        for (--run; begin < end; ++run) {
            const std::int64_t blocks = (run->end - run->begin + size_ - 1) / size_;
            const std::int64_t last = std::min(end, run->first_block + blocks);
            work(run->index, run->begin + (begin - run->first_block) * size_,
                 std::min(run->begin + (last - run->first_block) * size_, run->end), begin);
            begin = last;
        }
    }

    std::int64_t size_;
    std::int64_t count_ = 0;
    std::vector<BlockRun> runs_;
};

}  // namespace ascend_ops
