// What every exported function calls first.
#pragma once

namespace ascend_emulator {

/// 0, or the code to return at once: aclInit was not called, this is a forked child of a process
/// that used the NPU, or ASCEND_EMULATOR_FAULT makes this call fail.
int enter(const char* function);

}  // namespace ascend_emulator

#define ACL_ENTER()                                                   \
    do {                                                              \
        if (const int refused = ::ascend_emulator::enter(__func__)) { \
            return refused;                                           \
        }                                                             \
    } while (false)
