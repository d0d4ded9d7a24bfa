// The collectives of HCCL, and its sends and receives. Each is queued on the caller's stream.
#include <algorithm>
#include <cstring>

#include "emulator/hccl/objects/collectives.h"
#include "emulator/hccl/objects/communicator.h"
#include "emulator/hccl/objects/queue.h"
#include "emulator/hccl/objects/transfer.h"

using namespace ascend_emulator;

namespace {

void* bytes_of(const void* address) { return services().bytes_of(address); }

/// The number of ranks; 0 if the handle is not a communicator, which queue refuses.
std::size_t size_of(HcclComm handle) {
    const Communicator* group = group_of(handle);
    return group == nullptr ? 0 : group->size();
}

bool has_rank(HcclComm handle, std::uint32_t rank) {
    const Communicator* group = group_of(handle);
    return group != nullptr && group->rank() == rank;
}

/// The range from the first byte of the blocks to the last.
Access extent(const void* base, const Blocks& blocks, bool writes) {
    const char* begin = static_cast<char*>(bytes_of(base));
    std::size_t size = 0;
    for (const Block& block : blocks) {
        size = std::max<std::size_t>(size, block.size == 0 ? 0 : block.bytes + block.size - begin);
    }
    return {base, size, writes};
}

// ---- sends and receives of a group run together: otherwise two ranks that send first would block

struct Pending {
    HcclComm group;
    void* stream;
    std::vector<Transfer> transfers;
    std::vector<Access> accesses;
};

thread_local int group_depth = 0;
thread_local std::vector<Pending> pending;

HcclResult queue_transfers(Pending one) {
    return queue_entered("HcclSendRecv", one.group, one.stream, std::move(one.accesses),
                         [transfers = std::move(one.transfers)](Communicator& group) {
                             return run_transfers(group, transfers);
                         });
}

HcclResult add_transfer(const char* name, HcclComm group, void* stream, const Transfer& transfer,
                        const Access& access) {
    if (const int refused = services().enter(name)) {
        return static_cast<HcclResult>(refused);
    }
    if (group_depth == 0) {
        return queue_transfers({group, stream, {transfer}, {access}});
    }
    for (Pending& one : pending) {
        if (one.group == group && one.stream == stream) {
            one.transfers.push_back(transfer);
            one.accesses.push_back(access);
            return HCCL_SUCCESS;
        }
    }
    pending.push_back({group, stream, {transfer}, {access}});
    return HCCL_SUCCESS;
}

}  // namespace

EMULATOR_EXPORT HcclResult HcclGroupStart() {
    ++group_depth;
    return HCCL_SUCCESS;
}

EMULATOR_EXPORT HcclResult HcclGroupEnd() {
    if (group_depth == 0) {
        return HCCL_E_PARA;
    }
    if (--group_depth != 0) {
        return HCCL_SUCCESS;
    }
    HcclResult first = HCCL_SUCCESS;
    std::vector<Pending> all;
    all.swap(pending);
    for (Pending& one : all) {
        const HcclResult result = queue_transfers(std::move(one));
        first = first == HCCL_SUCCESS ? result : first;
    }
    return first;
}

EMULATOR_EXPORT HcclResult HcclAllReduce(void* from, void* to, std::uint64_t count,
                                         HcclDataType type, HcclReduceOp op, HcclComm comm,
                                         void* stream) {
    const std::size_t size = count * width_of(type);
    return queue("HcclAllReduce", comm, stream, {{from, size, false}, {to, size, true}},
                 [=](Communicator& group) {
                     return reduce_to(group, same_for_all(group, bytes_of(from), size),
                                      bytes_of(to), {type, op, count});
                 });
}

EMULATOR_EXPORT HcclResult HcclReduce(void* from, void* to, std::uint64_t count, HcclDataType type,
                                      HcclReduceOp op, std::uint32_t root, HcclComm comm,
                                      void* stream) {
    const std::size_t size = count * width_of(type);
    const std::size_t result = has_rank(comm, root) ? size : 0;
    return queue("HcclReduce", comm, stream, {{from, size, false}, {to, result, true}},
                 [=](Communicator& group) {
                     char* bytes = static_cast<char*>(bytes_of(from));
                     if (group.rank() != root) {
                         return run_transfers(group, {{true, root, bytes, size}});
                     }
                     Blocks own(group.size());
                     own[root] = {bytes, size};
                     return reduce_to(group, own, bytes_of(to), {type, op, count});
                 });
}

EMULATOR_EXPORT HcclResult HcclReduceScatter(void* from, void* to, std::uint64_t count,
                                             HcclDataType type, HcclReduceOp op, HcclComm comm,
                                             void* stream) {
    const std::size_t size = count * width_of(type);
    const std::size_t ranks = size_of(comm);
    return queue("HcclReduceScatter", comm, stream, {{from, ranks * size, false}, {to, size, true}},
                 [=](Communicator& group) {
                     return reduce_to(group, split_by_rank(group, bytes_of(from), size),
                                      bytes_of(to), {type, op, count});
                 });
}

EMULATOR_EXPORT HcclResult HcclBroadcast(void* buffer, std::uint64_t count, HcclDataType type,
                                         std::uint32_t root, HcclComm comm, void* stream) {
    const std::size_t size = count * width_of(type);
    const bool receives = !has_rank(comm, root);
    return queue("HcclBroadcast", comm, stream, {{buffer, size, receives}},
                 [=](Communicator& group) {
                     char* bytes = static_cast<char*>(bytes_of(buffer));
                     std::vector<Transfer> transfers;
                     for (std::uint32_t rank = 0; rank < group.size(); ++rank) {
                         if (group.rank() == root && rank != root) {
                             transfers.push_back({true, rank, bytes, size});
                         }
                     }
                     if (group.rank() != root) {
                         transfers.push_back({false, root, bytes, size});
                     }
                     return run_transfers(group, std::move(transfers));
                 });
}

EMULATOR_EXPORT HcclResult HcclAllGather(void* from, void* to, std::uint64_t count,
                                         HcclDataType type, HcclComm comm, void* stream) {
    const std::size_t size = count * width_of(type);
    const std::size_t ranks = size_of(comm);
    return queue("HcclAllGather", comm, stream, {{from, size, false}, {to, ranks * size, true}},
                 [=](Communicator& group) {
                     return exchange(group, same_for_all(group, bytes_of(from), size),
                                     split_by_rank(group, bytes_of(to), size));
                 });
}

EMULATOR_EXPORT HcclResult HcclScatter(void* from, void* to, std::uint64_t count, HcclDataType type,
                                       std::uint32_t root, HcclComm comm, void* stream) {
    const std::size_t size = count * width_of(type);
    const std::size_t sent = has_rank(comm, root) ? size_of(comm) * size : 0;
    return queue("HcclScatter", comm, stream, {{from, sent, false}, {to, size, true}},
                 [=](Communicator& group) {
                     char* received = static_cast<char*>(bytes_of(to));
                     if (group.rank() != root) {
                         return run_transfers(group, {{false, root, received, size}});
                     }
                     const Blocks blocks = split_by_rank(group, bytes_of(from), size);
                     std::vector<Transfer> transfers;
                     for (std::uint32_t rank = 0; rank < group.size(); ++rank) {
                         if (rank != root) {
                             transfers.push_back({true, rank, blocks[rank].bytes, size});
                         }
                     }
                     std::memmove(received, blocks[root].bytes, size);
                     return run_transfers(group, std::move(transfers));
                 });
}

EMULATOR_EXPORT HcclResult HcclAlltoAll(const void* from, std::uint64_t send_count,
                                        HcclDataType send_type, const void* to,
                                        std::uint64_t receive_count, HcclDataType receive_type,
                                        HcclComm comm, void* stream) {
    const std::size_t sent = send_count * width_of(send_type);
    const std::size_t received = receive_count * width_of(receive_type);
    const std::size_t ranks = size_of(comm);
    return queue("HcclAlltoAll", comm, stream,
                 {{from, ranks * sent, false}, {to, ranks * received, true}},
                 [=](Communicator& group) {
                     return exchange(group, split_by_rank(group, bytes_of(from), sent),
                                     split_by_rank(group, bytes_of(to), received));
                 });
}

// The arrays of counts are read now, as they belong to the caller.
EMULATOR_EXPORT HcclResult HcclAlltoAllV(const void* from, const void* send_counts,
                                         const void* send_offsets, HcclDataType send_type,
                                         const void* to, const void* receive_counts,
                                         const void* receive_offsets, HcclDataType receive_type,
                                         HcclComm comm, void* stream) {
    const Communicator* group = group_of(comm);
    if (group == nullptr) {
        return HCCL_E_PARA;
    }
    const auto blocks = [group](const void* base, const void* counts, const void* offsets,
                                HcclDataType type) {
        Blocks all;
        for (std::uint32_t rank = 0; rank < group->size(); ++rank) {
            const std::size_t offset = static_cast<const std::uint64_t*>(offsets)[rank];
            const std::size_t count = static_cast<const std::uint64_t*>(counts)[rank];
            char* bytes = static_cast<char*>(bytes_of(base));
            all.push_back({bytes + offset * width_of(type), count * width_of(type)});
        }
        return all;
    };
    const Blocks outgoing = blocks(from, send_counts, send_offsets, send_type);
    const Blocks incoming = blocks(to, receive_counts, receive_offsets, receive_type);
    return queue("HcclAlltoAllV", comm, stream,
                 {extent(from, outgoing, false), extent(to, incoming, true)},
                 [=](Communicator& ranks) { return exchange(ranks, outgoing, incoming); });
}

EMULATOR_EXPORT HcclResult HcclSend(void* buffer, std::uint64_t count, HcclDataType type,
                                    std::uint32_t peer, HcclComm comm, void* stream) {
    const std::size_t size = count * width_of(type);
    return add_transfer("HcclSend", comm, stream,
                        {true, peer, static_cast<char*>(bytes_of(buffer)), size},
                        {buffer, size, false});
}

EMULATOR_EXPORT HcclResult HcclRecv(void* buffer, std::uint64_t count, HcclDataType type,
                                    std::uint32_t peer, HcclComm comm, void* stream) {
    const std::size_t size = count * width_of(type);
    return add_transfer("HcclRecv", comm, stream,
                        {false, peer, static_cast<char*>(bytes_of(buffer)), size},
                        {buffer, size, true});
}

EMULATOR_EXPORT HcclResult HcclBarrier(HcclComm comm, void* stream) {
    return queue("HcclBarrier", comm, stream, {}, [](Communicator& group) {
        std::vector<char> sent(group.size());
        std::vector<char> received(group.size());
        return exchange(group, split_by_rank(group, sent.data(), 1),
                        split_by_rank(group, received.data(), 1));
    });
}
