// IBSet and IBWait: flags by which one block of a launch waits for another.
#include "emulator/ascendc/core_clock.h"
#include "emulator/ascendc/launch.h"

namespace aicore {

void Launch::wait_in_block(Fiber& fiber, Site site) {
    fiber.state = Fiber::State::waits_for_block;
    fiber.site = site;
    give_way(fiber);
}

void Launch::wake_blocks() {
    for (const std::unique_ptr<Fiber>& fiber : fibers_) {
        if (fiber->state == Fiber::State::waits_for_block) {
            fiber->state = Fiber::State::ready;
        }
    }
}

void Launch::set_block_flag(Core& core, int block, int event, Site site) {
    core.barrier(Pipe::all);
    Fiber& fiber = *fibers_[core.index];
    BlockFlag& flag = block_flags_[{block, event}];
    while (flag.set) {  // until the wait before has taken it
        wait_in_block(fiber, site);
    }
    core.stall("IBSet", site, flag.taken);
    flag.set = true;
    flag.told = tell(fiber, Pipe::all);
    wake_blocks();
}

void Launch::wait_block_flag(Core& core, int block, int event, Site site) {
    Fiber& fiber = *fibers_[core.index];
    BlockFlag& flag = block_flags_[{block, event}];
    while (!flag.set) {
        wait_in_block(fiber, site);
    }
    learn(fiber, flag.told);
    core.stall("IBWait", site, flag.told.time);
    flag.set = false;
    core.barrier(Pipe::all);
    flag.taken = core.time(Pipe::all);
    wake_blocks();
}

void Core::set_block_flag(int of_block, int event, Site site) {
    launch->set_block_flag(*this, of_block, event, site);
}

void Core::wait_block_flag(int of_block, int event, Site site) {
    launch->wait_block_flag(*this, of_block, event, site);
}

}  // namespace aicore
