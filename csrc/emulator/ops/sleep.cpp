// A stream that waits, for tests of what overlaps.
#include <chrono>
#include <thread>

#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

ACLNN(aclnnSleep, Ints cycles) {
    constexpr double clock_hz = 1.65e9;  // of an Ascend 950
    require(cycles.size() == 1 && cycles[0] > 0, "cycles must be one positive number");
    std::this_thread::sleep_for(
        std::chrono::duration<double>(static_cast<double>(cycles[0]) / clock_hz));
}
