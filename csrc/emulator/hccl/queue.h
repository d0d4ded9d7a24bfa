// From a function of HCCL to a task on the caller's stream.
#pragma once

#include <functional>
#include <vector>

#include "emulator/hccl/communicator.h"
#include "hccl/hccl_types.h"

namespace ascend_emulator {

using Work = std::function<int(Communicator&)>;

/// Enters the function `name`, checks the handle and the memory, and queues the work.
HcclResult queue(const char* name, HcclComm handle, void* stream, std::vector<Access> accesses,
                 Work work);

/// The same for what was entered before.
HcclResult queue_entered(const char* name, HcclComm handle, void* stream,
                         std::vector<Access> accesses, Work work);

}  // namespace ascend_emulator
