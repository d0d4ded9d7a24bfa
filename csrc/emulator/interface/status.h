// Codes that aclnn functions return, by CANN's documentation.
#pragma once

namespace ascend_emulator {

constexpr int null_argument = 161001;
constexpr int invalid_argument = 161002;
constexpr int invalid_handle = invalid_argument;
constexpr int operator_failure = 561103;

}  // namespace ascend_emulator
