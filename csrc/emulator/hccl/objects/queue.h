// Turns a call of an HCCL function into a task on the caller's stream.
#pragma once

#include <functional>
#include <vector>

#include "emulator/hccl/objects/communicator.h"
#include "hccl/hccl_types.h"

namespace ascend_emulator {

using Work = std::function<int(Communicator&)>;

/// Enter the function `name`, check the handle and the memory, and queue the work.
HcclResult queue(const char* name, HcclComm handle, void* stream, std::vector<Access> accesses,
                 Work work);

/// The same for a function that was entered before.
HcclResult queue_entered(const char* name, HcclComm handle, void* stream,
                         std::vector<Access> accesses, Work work);

}  // namespace ascend_emulator
