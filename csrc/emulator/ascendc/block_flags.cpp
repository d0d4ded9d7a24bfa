// IBSet and IBWait, and Arrive and Wait of GroupBarrier: flags by which one block of a launch waits
// for another.
#include "emulator/ascendc/core_clock.h"
#include "emulator/ascendc/launch.h"

namespace aicore {
namespace {

/// The functions that set a flag and wait for it.
struct Functions {
    const char* set;
    const char* wait;
    const char* both;
};

const Functions& functions_of(const BlockFlag::Key& key) {
    static constexpr Functions of_blocks{"IBSet", "IBWait", "IBWait or IBSet"};
    static constexpr Functions of_barrier{"Arrive", "Wait", "Wait or Arrive of GroupBarrier"};
    return std::get<0>(key) == nullptr ? of_blocks : of_barrier;
}

}  // namespace

void Launch::wait_in_block(Fiber& fiber, const BlockFlag::Key& key, Site site) {
    fiber.state = Fiber::State::waits_for_block;
    fiber.site = site;
    fiber.waits_in = functions_of(key).both;
    give_way(fiber);
}

void Launch::wake_blocks() {
    for (const std::unique_ptr<Fiber>& fiber : fibers_) {
        if (fiber->state == Fiber::State::waits_for_block) {
            fiber->state = Fiber::State::ready;
        }
    }
}

void Launch::set_block_flag(Core& core, const BlockFlag::Key& key, Site site) {
    core.barrier(Pipe::all);
    Fiber& fiber = *fibers_[core.index];
    BlockFlag& flag = block_flags_[key];
    while (flag.set) {  // until the wait before has taken it
        wait_in_block(fiber, key, site);
    }
    core.stall(functions_of(key).set, site, flag.taken);
    flag.set = true;
    flag.told = tell(fiber, Pipe::all);
    wake_blocks();
}

void Launch::wait_block_flag(Core& core, const BlockFlag::Key& key, Site site) {
    Fiber& fiber = *fibers_[core.index];
    BlockFlag& flag = block_flags_[key];
    while (!flag.set) {
        wait_in_block(fiber, key, site);
    }
    learn(fiber, flag.told);
    core.stall(functions_of(key).wait, site, flag.told.time);
    flag.set = false;
    core.barrier(Pipe::all);
    flag.taken = core.time(Pipe::all);
    wake_blocks();
}

void Core::set_block_flag(int of_block, int event, Site site, const void* barrier) {
    launch->set_block_flag(*this, {barrier, of_block, event}, site);
}

void Core::wait_block_flag(int of_block, int event, Site site, const void* barrier) {
    launch->wait_block_flag(*this, {barrier, of_block, event}, site);
}

}  // namespace aicore
