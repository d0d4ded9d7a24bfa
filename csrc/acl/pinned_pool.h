// A pool of pinned host memory. Blocks are reused once the copies that use them are done.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "acl/stream.h"

namespace ascend_ops::acl {

/// Bytes, except for the counts of blocks.
struct PoolStatistics {
    std::size_t in_use = 0;   // held by buffers and their views
    std::size_t waiting = 0;  // released, but a copy may still run
    std::size_t cached = 0;   // ready for reuse
    std::size_t peak = 0;     // the maximum of the sum of these three
    std::size_t blocks = 0;   // pinned now
    std::size_t pinned = 0;   // successful calls of aclrtMallocHost
    std::size_t reused = 0;   // requests served from the cache
};

/// The capacity of the block for a request of `bytes`: a power of two up to 1 MiB, beyond that a
/// multiple of an eighth of one, so that large requests waste at most an eighth.
std::size_t size_class(std::size_t bytes);

class PinnedPool {
  public:
    struct Block;

    /// Return a block of at least `bytes` bytes. Throws Error if they cannot be pinned, even after
    /// freeing all cached blocks.
    Block* allocate(std::size_t bytes, int device);

    /// Return a block to the pool, which reuses it once its uses are done.
    void release(Block* block) noexcept;

    /// The block in use that contains the `bytes` at `address`, or null.
    Block* find(const void* address, std::size_t bytes);

    /// Note that the work which `done` records uses the block that contains `address`. False if no
    /// block does.
    bool note_use(const void* address, std::size_t bytes, std::shared_ptr<Event> done,
                  void* stream);

    /// Never reuse the block that contains `address`: its use is under way and its end is unknown.
    void abandon(const void* address, std::size_t bytes) noexcept;

    /// Free the cached blocks, and those released ones whose uses are done. Does not wait.
    void empty_cache();

    /// Wait for every use and free every released block.
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

/// The pool of this process, which is never destroyed.
PinnedPool& pinned_pool();

}  // namespace ascend_ops::acl
