// Sends and receives. Those between HcclGroupStart and HcclGroupEnd run together: otherwise two
// ranks that both send first would wait for each other.
#pragma once

#include "emulator/hccl/objects/transfer.h"
#include "hccl/hccl_types.h"

namespace ascend_emulator {

HcclResult begin_group();
/// Queue what was added since the outermost begin_group(); returns the first error.
HcclResult end_group();

/// Enter the function `name`, and queue the transfer, or add it to the group that has begun.
HcclResult add_transfer(const char* name, HcclComm group, void* stream, const Transfer& transfer,
                        const Access& access);

}  // namespace ascend_emulator
