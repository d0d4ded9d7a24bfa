// The collectives, of transfers. Reductions go by rank, 0 first, so they repeat bit for bit.
#pragma once

#include <vector>

#include "emulator/hccl/communicator.h"
#include "hccl/hccl_types.h"

namespace ascend_emulator {

struct Block {
    char* bytes = nullptr;
    std::size_t size = 0;
};
/// What goes to, or comes from, each rank.
using Blocks = std::vector<Block>;

std::size_t width_of(HcclDataType type);

/// The same bytes for every rank; or a stretch of `size` bytes for each, one behind the other.
Blocks same_for_all(const Communicator& group, void* bytes, std::size_t size);
Blocks split_by_rank(const Communicator& group, void* bytes, std::size_t size);

/// Every rank sends its outgoing[k] to rank k.
int exchange(Communicator& group, const Blocks& outgoing, const Blocks& incoming);

struct Reduction {
    HcclDataType type;
    HcclReduceOp op;
    std::size_t count;
};

/// `result` becomes the reduction of what the ranks sent here, each its outgoing[this rank].
int reduce_to(Communicator& group, const Blocks& outgoing, void* result,
              const Reduction& reduction);

}  // namespace ascend_emulator
