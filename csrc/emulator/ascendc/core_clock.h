// What the cores of a launch know of one another.
#pragma once

#include <algorithm>

#include "emulator/ascendc/launch.h"

namespace aicore {

inline void join(CoreClock& clock, const CoreClock& other) {
    for (std::size_t index = 0; index < clock.size(); ++index) {
        clock[index] = std::max(clock[index], other[index]);
    }
}

/// Let a core know what others told it.
inline void learn(Fiber& fiber, const CoreClock& others) {
    join(fiber.clock, others);
    fiber.known.push_back(fiber.clock);
}

/// What a core tells others; what it does later is not covered by it.
inline CoreClock tell(Fiber& fiber) {
    CoreClock told = fiber.clock;
    ++fiber.clock[fiber.core->index];
    return told;
}

}  // namespace aicore
