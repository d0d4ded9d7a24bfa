// Tasks that write a 64-bit value to device memory, or wait until one is there.
#pragma once

#include <cstdint>

#include "emulator/interface/services.h"

namespace ascend_emulator {

TaskPtr write_value_task(void* address, std::uint64_t value);

/// A task that waits until the value at the address compares with `value` in the way of `flag`,
/// which is one of ACL_STREAM_WAIT_VALUE_*.
TaskPtr wait_value_task(const void* address, std::uint64_t value, std::uint32_t flag);

}  // namespace ascend_emulator
