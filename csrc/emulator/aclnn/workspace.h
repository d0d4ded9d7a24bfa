// How much workspace phase 1 asks for. Nothing is computed in it; operators that need one on a
// device ask for a little, so that a caller that passes none or too little is found.
#pragma once

#include <cstdint>

namespace ascend_emulator {

std::uint64_t workspace_of(const char* function);

}  // namespace ascend_emulator
