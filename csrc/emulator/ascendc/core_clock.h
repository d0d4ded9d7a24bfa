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

inline void join(Told& told, const Told& other) {
    join(told.clock, other.clock);
    told.time = std::max(told.time, other.time);
}

/// Let a core know what others told it.
inline void learn(Fiber& fiber, const Told& others) {
    join(fiber.clock, others.clock);
    fiber.known.push_back(fiber.clock);
}

/// What a core tells others when a pipe has ended its instructions; what it does later is not
/// covered by it.
inline Told tell(Fiber& fiber, Pipe pipe) {
    Told told{fiber.clock, fiber.core->time(pipe)};
    ++fiber.clock[fiber.core->index];
    return told;
}

}  // namespace aicore
