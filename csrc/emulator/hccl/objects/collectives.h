// The collectives, made of transfers. Reductions run in the order of ranks, so that their results
// are reproducible bit for bit.
#pragma once

#include <vector>

#include "emulator/hccl/objects/communicator.h"
#include "emulator/interface/collectives.h"
#include "hccl/hccl_types.h"

namespace ascend_emulator {

std::size_t width_of(HcclDataType type);
/// a * b or, if that overflows, more bytes than any memory has.
std::size_t product(std::size_t a, std::size_t b);

/// The same bytes for every rank, or consecutive blocks of `size` bytes.
Blocks same_for_all(const Communicator& group, void* bytes, std::size_t size);
Blocks split_by_rank(const Communicator& group, void* bytes, std::size_t size);
/// Blocks that two arrays of uint64, in elements of `width` bytes, describe: a count and an offset
/// per rank. The arrays belong to the caller of the C function, so they are read before it returns.
Blocks split_by_counts(const Communicator& group, void* bytes, const void* counts,
                       const void* offsets, std::size_t width);
/// The access from `base`, the device address of the blocks' buffer, to the end of the last block.
Access access_of(const void* base, const Blocks& blocks, bool writes);

/// Send outgoing[k] to every rank k, and receive incoming[k] from it.
int exchange(Communicator& group, const Blocks& outgoing, const Blocks& incoming);
int broadcast(Communicator& group, std::uint32_t root, void* bytes, std::size_t size);
/// Send block k of `size` bytes at `from`, in the memory of `root`, to `to` on every rank k.
int scatter(Communicator& group, std::uint32_t root, void* from, void* to, std::size_t size);
/// Wait until all ranks have called it.
int barrier(Communicator& group);

struct Reduction {
    HcclDataType type;
    HcclReduceOp op;
    std::size_t count;
};

/// Exchange, and reduce what all ranks sent to this one into `result`.
int reduce_to(Communicator& group, const Blocks& outgoing, void* result,
              const Reduction& reduction);
/// Reduce the values that each rank has at `from` into `result` on `root`.
int reduce_at(Communicator& group, std::uint32_t root, void* from, void* result,
              const Reduction& reduction);

}  // namespace ascend_emulator
