// Waits between the cores of a launch: SyncAll and the cross-core flags.
#include <algorithm>

#include "emulator/ascendc/core_clock.h"
#include "emulator/ascendc/costs.h"
#include "emulator/ascendc/launch.h"
#include "emulator/ascendc/shadow.h"

namespace aicore {
namespace {

constexpr int flag_ids = 16;
constexpr std::size_t most_sets = 15;  // a flag counts in four bits

}  // namespace

std::vector<Fiber*> Launch::cores_of_kind(bool cube) {
    std::vector<Fiber*> found;
    for (const std::unique_ptr<Fiber>& fiber : fibers_) {
        if (fiber->core->is_cube() == cube) {
            found.push_back(fiber.get());
        }
    }
    return found;
}

std::vector<Fiber*> Launch::cores_of_block(std::uint32_t block, bool cube) {
    std::vector<Fiber*> found = cores_of_kind(cube);
    found.erase(std::remove_if(found.begin(), found.end(),
                               [block](const Fiber* fiber) { return fiber->core->block != block; }),
                found.end());
    return found;
}

void Launch::sync_all(Core& core, bool vector_only, Site site) {
    Fiber& fiber = *fibers_[core.index];
    core.barrier(Pipe::all);
    fiber.state = Fiber::State::in_sync_all;
    fiber.sync_vector_only = vector_only;
    fiber.site = site;
    give_way(fiber);
}

/// Let the cores in SyncAll go on if all of them are there; false if none could.
bool Launch::release_sync() {
    const auto waits = [](const Fiber* fiber) { return fiber->state == Fiber::State::in_sync_all; };
    std::vector<Fiber*> group;
    for (const std::unique_ptr<Fiber>& fiber : fibers_) {
        if (waits(fiber.get())) {
            group = fiber->sync_vector_only ? cores_of_kind(false) : std::vector<Fiber*>();
            break;
        }
    }
    if (group.empty()) {
        for (const std::unique_ptr<Fiber>& fiber : fibers_) {
            group.push_back(fiber.get());
        }
    }
    if (!std::all_of(group.begin(), group.end(), waits)) {
        return false;
    }
    Told all{CoreClock(fibers_.size(), 0)};
    for (Fiber* fiber : group) {
        join(all, tell(*fiber, Pipe::all));
    }
    for (Fiber* fiber : group) {
        learn(*fiber, all);
        fiber->core->stall("SyncAll", fiber->site, all.time + sync_all_cycles());
        fiber->state = Fiber::State::ready;
    }
    return true;
}

/// If all of `from` have set the flag, set it for each of `to`.
void Launch::deliver(int id, const std::vector<Fiber*>& from, const std::vector<Fiber*>& to,
                     Site site) {
    for (const Fiber* fiber : from) {
        if (fiber->outbox[id].empty()) {
            return;
        }
    }
    Told all{CoreClock(fibers_.size(), 0)};
    for (Fiber* fiber : from) {
        join(all, fiber->outbox[id].front());
        fiber->outbox[id].pop_front();
    }
    for (Fiber* fiber : to) {
        fiber->inbox[id].push_back(all);
        if (fiber->inbox[id].size() > most_sets) {
            report(*fiber->core, "flag",
                   "cross-core flag " + std::to_string(id) +
                       " is set more than 15 times without a wait",
                   site);
        }
        if (fiber->state == Fiber::State::waits_for_flag && fiber->flag == id) {
            fiber->state = Fiber::State::ready;
        }
    }
}

void Launch::set_flag(Core& core, int mode, Pipe pipe, int id, Site site) {
    if (id < 0 || id >= flag_ids) {
        core.end("flag", "CrossCoreSetFlag: the flag id must be 0 to 15, got " + std::to_string(id),
                 site);
    }
    Fiber& fiber = *fibers_[core.index];
    fiber.outbox[id].push_back(tell(fiber, pipe));
    const bool cube = core.is_cube();
    if (mode == 0) {
        deliver(id, cores_of_kind(cube), cores_of_kind(cube), site);
    } else if (mode == 1 && !cube) {
        deliver(id, cores_of_block(core.block, false), cores_of_block(core.block, false), site);
    } else if (mode == 2) {
        deliver(id, cube ? std::vector<Fiber*>{&fiber} : cores_of_block(core.block, false),
                cores_of_block(core.block, !cube), site);
    } else {
        core.end("flag",
                 "CrossCoreSetFlag: the mode must be 0, 2, or 1 on a vector core, got " +
                     std::to_string(mode),
                 site);
    }
}

void Launch::wait_flag(Core& core, int id, Site site) {
    if (id < 0 || id >= flag_ids) {
        core.end("flag",
                 "CrossCoreWaitFlag: the flag id must be 0 to 15, got " + std::to_string(id), site);
    }
    Fiber& fiber = *fibers_[core.index];
    while (fiber.inbox[id].empty()) {
        fiber.state = Fiber::State::waits_for_flag;
        fiber.flag = id;
        fiber.site = site;
        give_way(fiber);
    }
    learn(fiber, fiber.inbox[id].front());
    core.stall("CrossCoreWaitFlag", site, fiber.inbox[id].front().time);
    fiber.inbox[id].pop_front();
    core.tell_all_pipes();
}

}  // namespace aicore
