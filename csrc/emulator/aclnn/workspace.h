// The size of the workspace that phase 1 returns. Nothing is computed in it. Operators that need
// one on a device return a small size, so that a caller that passes too little is found.
#pragma once

#include <cstdint>

namespace ascend_emulator {

std::uint64_t workspace_of(const char* function);

}  // namespace ascend_emulator
