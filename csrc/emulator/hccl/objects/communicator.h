// A group of processes on one machine that communicate through shared memory.
//
// The memory is an unnamed file. The process that creates the root info creates it too, and the
// others open it through /proc/<pid>/fd. Nothing is left behind, however the processes end.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "emulator/interface/services.h"

namespace ascend_emulator {

constexpr std::uint32_t max_ranks = 64;
constexpr int collective_failed = 507899;

/// A ring buffer from one rank, which writes, to another, which reads.
struct Channel {
    static constexpr std::size_t capacity = 256 << 10;
    std::atomic<std::uint64_t> written;
    std::atomic<std::uint64_t> read;
    char padding[112];
    char bytes[capacity];
};

struct SharedHeader {
    std::atomic<std::uint32_t> joined;
    std::atomic<std::uint32_t> failed;  // 1 + the rank that ended or waited too long
    std::atomic<int> pids[max_ranks];   // 0: not joined yet; -1: has left
};

/// The process that made a group, and its descriptor of the memory that the ranks share.
struct RootInfo {
    int pid = 0;
    int descriptor = -1;
};

class Communicator {
  public:
    static constexpr auto handle_kind = HandleKind::communicator;

    /// Join as `rank` of `size` and wait for the others. Null, with `problem` set, if that fails.
    static Communicator* join(std::uint32_t size, std::uint32_t rank, const std::string& root_info,
                              std::string* problem);
    /// Join as all ranks of a group of this process. Empty, with `problem` set, if that fails.
    static std::vector<Communicator*> join_all(std::uint32_t size, std::string* problem);
    /// This process's live communicator of that name, or null.
    static Communicator* named(const std::string& name);
    /// Tell the others and unmap the memory.
    ~Communicator();
    Communicator(const Communicator&) = delete;
    Communicator& operator=(const Communicator&) = delete;

    Channel& channel(std::uint32_t from, std::uint32_t to) const {
        return channels_[from * size_ + to];
    }
    std::uint32_t size() const { return size_; }
    std::uint32_t rank() const { return rank_; }
    const std::string& name() const { return name_; }

    /// A message if a rank has ended, left or failed, so that waiting for it is pointless, or "".
    std::string why_broken() const;
    /// Notify the other ranks that this one gave up on `rank`.
    void fail_all(std::uint32_t rank) const { header_->failed = rank + 1; }

    std::atomic<bool> has_failed{false};

  private:
    friend class HandlePool<Communicator>;
    struct Destroy {
        void operator()(const Communicator* group) const;
    };
    using Owned = std::unique_ptr<Communicator, Destroy>;

    /// Map the memory of a group and be counted among its ranks.
    static Owned attach(std::string name, std::uint32_t size, std::uint32_t rank,
                        const RootInfo& root, std::string* problem);
    static Communicator* publish(Owned group);
    Communicator(std::string name, std::uint32_t size, std::uint32_t rank);
    bool map(int descriptor);
    std::string wait_for_all() const;

    const std::string name_;
    const std::uint32_t size_;
    const std::uint32_t rank_;
    SharedHeader* header_ = nullptr;
    Channel* channels_ = nullptr;
    std::size_t bytes_ = 0;
};

/// The communicator of a handle; null, with an error noted, if the handle is not a live one.
Communicator* group_of(void* handle);

/// Create the shared memory of a new group; returns the text by which the other ranks find it.
std::string make_root_info();

}  // namespace ascend_emulator
