// Moving bytes between ranks.
#pragma once

#include <vector>

#include "emulator/hccl/communicator.h"

namespace ascend_emulator {

struct Transfer {
    bool sends;
    std::uint32_t peer;
    char* bytes;
    std::size_t size;
    std::size_t done = 0;
};

/// Runs all transfers to their end. They make progress together, so no order of them on the ranks
/// can block; those with one peer in one direction follow each other. 0, or collective_failed
/// with a message, where a rank ended or the timeout passed.
int run_transfers(Communicator& group, std::vector<Transfer> transfers);

}  // namespace ascend_emulator
