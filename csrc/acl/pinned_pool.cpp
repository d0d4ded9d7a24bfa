#include "acl/pinned_pool.h"

#include <algorithm>
#include <string>

#include "acl/runtime.h"

namespace ascend_ops::acl {
namespace {

constexpr std::size_t smallest_block = 512;
constexpr std::size_t powers_of_two_up_to = std::size_t{1} << 20;

/// Whether all uses of the block are done. A block whose state cannot be queried stays in use.
bool is_done(PinnedPool::Block& block) {
    auto& uses = block.uses;
    for (auto use = uses.begin(); use != uses.end();) {
        bool done = false;
        if (!attempt([&] { done = use->second->query(); }) || !done) {
            return false;
        }
        use = uses.erase(use);
    }
    return !block.abandoned;
}

}  // namespace

std::size_t size_class(std::size_t bytes) {
    std::size_t power = smallest_block;
    while (power < bytes && power < powers_of_two_up_to) {
        power *= 2;
    }
    if (bytes <= power) {
        return power;
    }
    while (power <= bytes / 2) {
        power *= 2;
    }
    const std::size_t step = power / 8;
    return (bytes + step - 1) / step * step;
}

PinnedPool::Block* PinnedPool::allocate(std::size_t bytes, int device) {
    const std::size_t capacity = size_class(bytes);
    if (capacity < bytes) {
        throw Error("nbytes must be a size that can be pinned, got " + std::to_string(bytes));
    }
    functions();
    Block* block = take_cached(capacity);
    if (block == nullptr) {
        block = pin(capacity, device);
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    in_use_[static_cast<const char*>(block->address)] = block;
    statistics_.in_use += block->capacity;
    return block;
}

PinnedPool::Block* PinnedPool::take_cached(std::size_t capacity) {
    const std::lock_guard<std::mutex> lock(mutex_);
    collect();
    const auto found = cached_.find(capacity);
    if (found == cached_.end()) {
        return nullptr;
    }
    Block* block = found->second;
    cached_.erase(found);
    statistics_.cached -= block->capacity;
    ++statistics_.reused;
    return block;
}

PinnedPool::Block* PinnedPool::pin(std::size_t capacity, int device) {
    const DeviceGuard guard(device);
    auto block = std::make_unique<Block>();
    block->capacity = capacity;
    block->device = device;
    int status = functions().malloc_host(&block->address, capacity);
    if (status != 0) {
        const std::vector<Block*> cached = take_all_cached();
        if (!cached.empty()) {
            free_blocks(cached);
            status = functions().malloc_host(&block->address, capacity);
        }
    }
    check(status, "aclrtMallocHost", "pin " + std::to_string(capacity) + " bytes of host memory");
    const std::lock_guard<std::mutex> lock(mutex_);
    ++statistics_.blocks;
    ++statistics_.pinned;
    const std::size_t others = statistics_.in_use + statistics_.waiting + statistics_.cached;
    statistics_.peak = std::max(statistics_.peak, others + capacity);
    return block.release();
}

void PinnedPool::release(Block* block) noexcept {
    if (!is_usable()) {
        return;  // the process frees the memory; after a fork the lock may be held forever
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    in_use_.erase(static_cast<const char*>(block->address));
    statistics_.in_use -= block->capacity;
    statistics_.waiting += block->capacity;
    waiting_.push_back(block);
}

void PinnedPool::collect() {
    for (std::size_t index = 0; index < waiting_.size();) {
        Block* block = waiting_[index];
        if (!is_done(*block)) {
            ++index;
            continue;
        }
        waiting_[index] = waiting_.back();
        waiting_.pop_back();
        cached_.emplace(block->capacity, block);
        statistics_.waiting -= block->capacity;
        statistics_.cached += block->capacity;
    }
}

std::vector<PinnedPool::Block*> PinnedPool::take_all_cached() {
    const std::lock_guard<std::mutex> lock(mutex_);
    collect();
    std::vector<Block*> blocks;
    for (const auto& [capacity, block] : cached_) {
        blocks.push_back(block);
        statistics_.cached -= capacity;
        --statistics_.blocks;
    }
    cached_.clear();
    return blocks;
}

void PinnedPool::free_blocks(const std::vector<Block*>& blocks) {
    int failed = 0;
    for (Block* block : blocks) {
        const DeviceGuard guard(block->device);
        const int status = functions().free_host(block->address);
        failed = failed == 0 ? status : failed;
        delete block;
    }
    check(failed, "aclrtFreeHost", "free pinned host memory");
}

PinnedPool::Block* PinnedPool::containing(const void* address, std::size_t bytes) {
    const char* begin = static_cast<const char*>(address);
    auto after = in_use_.upper_bound(begin);
    if (after == in_use_.begin()) {
        return nullptr;
    }
    const auto& [first, block] = *--after;
    const auto offset = static_cast<std::size_t>(begin - first);
    return offset <= block->capacity && bytes <= block->capacity - offset ? block : nullptr;
}

PinnedPool::Block* PinnedPool::find(const void* address, std::size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return containing(address, bytes);
}

bool PinnedPool::note_use(const void* address, std::size_t bytes, std::shared_ptr<Event> done,
                          void* stream) {
    const std::lock_guard<std::mutex> lock(mutex_);
    Block* block = containing(address, bytes);
    if (block == nullptr) {
        return false;
    }
    const std::pair<int, void*> where(done->device(), stream);
    block->uses[where] = std::move(done);
    return true;
}

void PinnedPool::abandon(const void* address, std::size_t bytes) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (Block* block = containing(address, bytes)) {
        block->abandoned = true;
    }
}

void PinnedPool::empty_cache() {
    functions();
    free_blocks(take_all_cached());
}

void PinnedPool::drain() noexcept {
    attempt([this] {
        for (const auto& use : waiting_uses()) {
            use->synchronize();
        }
        empty_cache();
    });
}

std::vector<std::shared_ptr<Event>> PinnedPool::waiting_uses() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<std::shared_ptr<Event>> found;
    for (const Block* block : waiting_) {
        for (const auto& use : block->uses) {
            found.push_back(use.second);
        }
    }
    return found;
}

PoolStatistics PinnedPool::statistics() {
    functions();
    const std::lock_guard<std::mutex> lock(mutex_);
    collect();
    return statistics_;
}

void PinnedPool::reset_peak() {
    functions();
    const std::lock_guard<std::mutex> lock(mutex_);
    statistics_.peak = statistics_.in_use + statistics_.waiting + statistics_.cached;
}

PinnedPool& pinned_pool() {
    static auto* const only = new PinnedPool;
    return *only;
}

}  // namespace ascend_ops::acl
