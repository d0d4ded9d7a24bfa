// The functions that run a launch on cube cores, if the compiler made a pass of its own over their
// code.
#pragma once

#include "ascendc/kernel_launch.h"

namespace aicore {

/// The function that add_cube_passes paired with `runner`; throws if there is none.
Runner cube_pass_of(Runner runner);

}  // namespace aicore
