// Memory shared between processes.
#pragma once

namespace ascend_emulator {

/// The block at `address` is freed: what it was exported as cannot be imported any more.
void end_export(const void* address);

}  // namespace ascend_emulator
