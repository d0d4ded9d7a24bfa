#include "emulator/ascendc/passes.h"

#include <map>
#include <mutex>
#include <stdexcept>

namespace aicore {
namespace {

/// Libraries of kernels add to it while they are loaded, and may outlive static objects.
struct Passes {
    std::mutex mutex;
    std::map<Runner, Runner> cube;
};
Passes& passes() {
    static auto* const only = new Passes;
    return *only;
}

}  // namespace

bool add_cube_passes(std::initializer_list<std::pair<Runner, Runner>> added) {
    const std::lock_guard<std::mutex> lock(passes().mutex);
    for (const auto& [vector, cube] : added) {
        passes().cube[vector] = cube;  // the address may have been that of an unloaded library
    }
    return true;
}

Runner cube_pass_of(Runner runner) {
    const std::lock_guard<std::mutex> lock(passes().mutex);
    const auto found = passes().cube.find(runner);
    if (found == passes().cube.end()) {
        throw std::logic_error("the pass over cube cores' code has no launch like this one");
    }
    return found->second;
}

}  // namespace aicore
