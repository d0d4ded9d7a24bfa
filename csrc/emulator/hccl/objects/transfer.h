// Transfers of bytes between ranks.
#pragma once

#include <vector>

#include "emulator/hccl/objects/communicator.h"

namespace ascend_emulator {

struct Transfer {
    bool sends;
    std::uint32_t peer;
    char* bytes;
    std::size_t size;
    std::size_t done = 0;
};

/// Run all transfers to their end. They make progress together, so that no order of them on the
/// ranks can deadlock; those with one peer in one direction follow each other. Returns 0, or
/// collective_failed with a message if a rank ended or the timeout passed.
int run_transfers(Communicator& group, std::vector<Transfer> transfers);

}  // namespace ascend_emulator
