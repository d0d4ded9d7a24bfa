// IBSet and IBWait, and Arrive and Wait of GroupBarrier: flags by which one block of a launch waits
// for another.
#include "emulator/ascendc/core_clock.h"
#include "emulator/ascendc/launch.h"

namespace aicore {

void Launch::wait_in_block(Fiber& fiber, const BlockFlag::Key& key, Site site) {
    fiber.state = Fiber::State::waits_for_block;
    fiber.site = site;
    fiber.waits_in =
        std::get<0>(key) == nullptr ? "IBWait or IBSet" : "Wait or Arrive of GroupBarrier";
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
    core.stall(std::get<0>(key) == nullptr ? "IBSet" : "Arrive", site, flag.taken);
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
    core.stall(std::get<0>(key) == nullptr ? "IBWait" : "Wait", site, flag.told.time);
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
