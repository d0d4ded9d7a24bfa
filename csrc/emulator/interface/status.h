// Codes that CANN documents for aclnn functions. The AscendCL headers do not name them.
#pragma once

namespace ascend_emulator {

constexpr int null_argument = 161001;
constexpr int invalid_argument = 161002;
constexpr int invalid_handle = invalid_argument;
constexpr int operator_failure = 561103;
constexpr int internal_failure = 500000;  // an exception in the emulator itself

}  // namespace ascend_emulator
