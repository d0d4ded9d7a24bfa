// From HCCL's handle to a communicator that may be used.
#pragma once

#include "emulator/hccl/communicator.h"

namespace ascend_emulator {

/// Null, with an error noted, where the handle is no live communicator.
Communicator* group_of(HcclComm handle);

}  // namespace ascend_emulator
