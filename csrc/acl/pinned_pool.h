// Pinned host memory, reused once the copies that read or write it are done.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "acl/stream.h"

namespace ascend_ops::acl {

/// Bytes, but for the counts of blocks.
struct PoolStatistics {
    std::size_t in_use = 0;   // of blocks that somebody holds
    std::size_t waiting = 0;  // given back, but a copy may still run
    std::size_t cached = 0;   // free to be handed out again
    std::size_t peak = 0;     // the most that was pinned at a time, whatever for
    std::size_t blocks = 0;   // pinned now
    std::size_t pinned = 0;   // calls of aclrtMallocHost that gave a block
    std::size_t reused = 0;   // requests that a cached block answered
};

/// What a request of `bytes` gets: a power of two up to 1 MiB, from there an eighth of one, so that
/// at most an eighth is wasted where it counts.
std::size_t size_class(std::size_t bytes);

class PinnedPool {
  public:
    struct Block;

    /// At least `bytes` bytes at Block::address. Throws Error where they cannot be pinned, even
    /// after all that is cached was given up.
    Block* allocate(std::size_t bytes, int device);

    /// The block may be handed out again once its uses are done.
    void release(Block* block) noexcept;

    /// The block that has all of `bytes` at `address`, or null; blocks in use only.
    Block* find(const void* address, std::size_t bytes);

    /// Work recorded by `done` reads or writes the block that has `address`; false if none does.
    bool note_use(const void* address, std::size_t bytes, std::shared_ptr<Event> done,
                  void* stream);

    /// For work whose end cannot be known any more: the block is never handed out again.
    void abandon(const void* address, std::size_t bytes) noexcept;

    /// Frees what is cached, and what waits once it is done. Waits for nothing.
    void empty_cache();

    /// Waits for every use and frees every block that nobody holds.
    void drain() noexcept;

    PoolStatistics statistics();
    void reset_peak();

  private:
    void collect();  // from waiting to cached; the mutex is held
    Block* take_cached(std::size_t capacity);
    Block* pin(std::size_t capacity, int device);
    std::vector<Block*> take_all_cached();
    std::vector<std::shared_ptr<Event>> waiting_uses();
    void free_blocks(const std::vector<Block*>& blocks);
    Block* containing(const void* address, std::size_t bytes);

    std::mutex mutex_;
    std::map<const char*, Block*> in_use_;
    std::vector<Block*> waiting_;
    std::multimap<std::size_t, Block*> cached_;
    PoolStatistics statistics_;
};

struct PinnedPool::Block {
    void* address = nullptr;
    std::size_t capacity = 0;
    int device = 0;
    bool abandoned = false;
    /// The newest use on each stream, which ends last.
    std::map<std::pair<int, void*>, std::shared_ptr<Event>> uses;
};

/// The one of this process, never destroyed.
PinnedPool& pinned_pool();

}  // namespace ascend_ops::acl
