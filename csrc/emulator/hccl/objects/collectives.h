// The collectives, made of transfers. Reductions run in the order of ranks, so that their results
// are reproducible bit for bit.
#pragma once

#include <vector>

#include "emulator/hccl/objects/communicator.h"
#include "hccl/hccl_types.h"

namespace ascend_emulator {

struct Block {
    char* bytes = nullptr;
    std::size_t size = 0;
};
/// What is sent to, or received from, each rank.
using Blocks = std::vector<Block>;

std::size_t width_of(HcclDataType type);

/// The same bytes for every rank, or consecutive blocks of `size` bytes.
Blocks same_for_all(const Communicator& group, void* bytes, std::size_t size);
Blocks split_by_rank(const Communicator& group, void* bytes, std::size_t size);

/// Send outgoing[k] to every rank k, and receive incoming[k] from it.
int exchange(Communicator& group, const Blocks& outgoing, const Blocks& incoming);

struct Reduction {
    HcclDataType type;
    HcclReduceOp op;
    std::size_t count;
};

/// Exchange, and reduce what all ranks sent to this one into `result`.
int reduce_to(Communicator& group, const Blocks& outgoing, void* result,
              const Reduction& reduction);

}  // namespace ascend_emulator
