// The state of this process: aclInit, aclFinalize, and forks after the first use.
#pragma once

namespace ascend_emulator {

enum class State { fresh, initialised, finalised };

State state();
void set_state(State state);

/// Watch for forks from now on. Called when the process first creates a stream or memory.
void watch_forks();

/// Whether this is a forked child of a process that had used the NPU.
bool is_forked_child();

}  // namespace ascend_emulator
