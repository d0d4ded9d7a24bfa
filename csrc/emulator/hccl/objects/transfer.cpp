#include "emulator/hccl/objects/transfer.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace ascend_emulator {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int polls_before_sleep = 200;
constexpr int polls_between_checks = 400;  // of 50 us each

/// Move the bytes that fit now; returns whether any moved.
bool move_some(const Communicator& group, Transfer& transfer) {
    Channel& channel = transfer.sends ? group.channel(group.rank(), transfer.peer)
                                      : group.channel(transfer.peer, group.rank());
    const std::uint64_t written = channel.written.load(std::memory_order_acquire);
    const std::uint64_t read = channel.read.load(std::memory_order_acquire);
    const std::uint64_t at = (transfer.sends ? written : read) % Channel::capacity;
    const std::uint64_t room =
        transfer.sends ? Channel::capacity - (written - read) : written - read;
    const std::size_t count =
        std::min<std::size_t>({room, Channel::capacity - at, transfer.size - transfer.done});
    if (count == 0) {
        return false;
    }
    char* mine = transfer.bytes + transfer.done;
    if (transfer.sends) {
        std::memcpy(channel.bytes + at, mine, count);
        channel.written.store(written + count, std::memory_order_release);
    } else {
        std::memcpy(mine, channel.bytes + at, count);
        channel.read.store(read + count, std::memory_order_release);
    }
    transfer.done += count;
    return true;
}

struct Round {
    bool finished = true;
    bool moved = false;
    std::uint32_t waits_for = 0;
};

Round advance_all(const Communicator& group, std::vector<Transfer>& transfers) {
    Round round;
    std::vector<bool> lane_is_busy(2 * group.size(), false);
    for (Transfer& transfer : transfers) {
        if (transfer.done == transfer.size) {
            continue;
        }
        round.finished = false;
        round.waits_for = transfer.peer;
        const std::size_t lane = 2 * transfer.peer + (transfer.sends ? 1 : 0);
        if (!lane_is_busy[lane]) {
            lane_is_busy[lane] = true;
            round.moved = move_some(group, transfer) || round.moved;
        }
    }
    return round;
}

int give_up(Communicator& group, const std::string& why) {
    group.has_failed = true;
    return services().fail(collective_failed, "rank " + std::to_string(group.rank()) + " of " +
                                                  std::to_string(group.size()) + ": " + why);
}

}  // namespace

int run_transfers(Communicator& group, std::vector<Transfer> transfers) {
    const long timeout = services().options().hccl_timeout_s;
    auto deadline = Clock::now() + std::chrono::seconds(timeout);
    for (int idle = 0;; ++idle) {
        const Round round = advance_all(group, transfers);
        if (round.finished) {
            return 0;
        }
        if (round.moved) {
            idle = 0;
            deadline = Clock::now() + std::chrono::seconds(timeout);
            continue;
        }
        if (idle < polls_before_sleep) {
            sched_yield();
            continue;
        }
        usleep(50);
        if (idle % polls_between_checks != 0) {
            continue;
        }
        const std::string broken = group.why_broken();
        // The bytes that a rank sent before it left must still be read.
        if (!broken.empty() && !advance_all(group, transfers).moved) {
            return give_up(group, broken);
        }
        if (Clock::now() > deadline) {
            group.fail_all(round.waits_for);
            return give_up(group, "rank " + std::to_string(round.waits_for) +
                                      " did not respond within " + std::to_string(timeout) +
                                      " s (ASCEND_EMULATOR_HCCL_TIMEOUT_S)");
        }
    }
}

}  // namespace ascend_emulator
