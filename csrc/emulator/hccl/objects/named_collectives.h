// Communication for operators of libopapi, by the name of a communicator.
#pragma once

#include "emulator/hccl/objects/collectives.h"

namespace ascend_emulator {

/// The collectives of all communicators of this process.
Collectives& named_collectives();

}  // namespace ascend_emulator
