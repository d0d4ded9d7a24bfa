#include "emulator/ascendc/passes.h"

#include <map>
#include <mutex>
#include <stdexcept>

namespace aicore {
namespace {

/// Libraries of kernels add to it while they are loaded, and may outlive static objects.
struct CubePasses {
    std::mutex mutex;
    std::map<Runner, Runner> cube;
};
CubePasses& cube_passes() {
    static auto* const only = new CubePasses;
    return *only;
}

}  // namespace

bool add_cube_passes(std::initializer_list<std::pair<Runner, Runner>> added) {
    const std::lock_guard<std::mutex> lock(cube_passes().mutex);
    for (const auto& [vector, cube] : added) {
        cube_passes().cube[vector] = cube;  // the address may have been that of an unloaded library
    }
    return true;
}

Runner cube_pass_of(Runner runner) {
    const std::lock_guard<std::mutex> lock(cube_passes().mutex);
    const auto found = cube_passes().cube.find(runner);
    if (found == cube_passes().cube.end()) {
        throw std::logic_error("the pass over cube cores' code has no launch like this one");
    }
    return found->second;
}

}  // namespace aicore
