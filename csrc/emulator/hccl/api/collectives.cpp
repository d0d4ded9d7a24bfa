// The collectives of HCCL, and its sends and receives. Each is queued on the caller's stream.
#include "emulator/hccl/objects/collectives.h"
#include "emulator/hccl/objects/queue.h"
#include "emulator/hccl/objects/send_receive.h"

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

std::size_t bytes_of(std::uint64_t count, HcclDataType type) {
    return product(count, width_of(type));
}

}  // namespace

EMULATOR_EXPORT HcclResult HcclGroupStart() { return begin_group(); }
EMULATOR_EXPORT HcclResult HcclGroupEnd() { return end_group(); }

EMULATOR_EXPORT HcclResult HcclAllReduce(void* from, void* to, std::uint64_t count,
                                         HcclDataType type, HcclReduceOp op, HcclComm comm,
                                         void* stream) {
    const std::size_t size = bytes_of(count, type);
    return queue("HcclAllReduce", comm, stream, {{from, size, false}, {to, size, true}},
                 [=](Communicator& group) {
                     return reduce_to(group, same_for_all(group, bytes_of(from), size),
                                      bytes_of(to), {type, op, count});
                 });
}

EMULATOR_EXPORT HcclResult HcclReduce(void* from, void* to, std::uint64_t count, HcclDataType type,
                                      HcclReduceOp op, std::uint32_t root, HcclComm comm,
                                      void* stream) {
    if (const HcclResult refused = check_rank(comm, "root", root)) {
        return refused;
    }
    const std::size_t size = bytes_of(count, type);
    const std::size_t result = has_rank(comm, root) ? size : 0;
    return queue("HcclReduce", comm, stream, {{from, size, false}, {to, result, true}},
                 [=](Communicator& group) {
                     return reduce_at(group, root, bytes_of(from), bytes_of(to), {type, op, count});
                 });
}

EMULATOR_EXPORT HcclResult HcclReduceScatter(void* from, void* to, std::uint64_t count,
                                             HcclDataType type, HcclReduceOp op, HcclComm comm,
                                             void* stream) {
    const std::size_t size = bytes_of(count, type);
    const std::size_t ranks = size_of(comm);
    return queue("HcclReduceScatter", comm, stream,
                 {{from, product(ranks, size), false}, {to, size, true}}, [=](Communicator& group) {
                     return reduce_to(group, split_by_rank(group, bytes_of(from), size),
                                      bytes_of(to), {type, op, count});
                 });
}

EMULATOR_EXPORT HcclResult HcclBroadcast(void* buffer, std::uint64_t count, HcclDataType type,
                                         std::uint32_t root, HcclComm comm, void* stream) {
    if (const HcclResult refused = check_rank(comm, "root", root)) {
        return refused;
    }
    const std::size_t size = bytes_of(count, type);
    const bool receives = !has_rank(comm, root);
    return queue(
        "HcclBroadcast", comm, stream, {{buffer, size, receives}},
        [=](Communicator& group) { return broadcast(group, root, bytes_of(buffer), size); });
}

EMULATOR_EXPORT HcclResult HcclAllGather(void* from, void* to, std::uint64_t count,
                                         HcclDataType type, HcclComm comm, void* stream) {
    const std::size_t size = bytes_of(count, type);
    const std::size_t ranks = size_of(comm);
    return queue("HcclAllGather", comm, stream,
                 {{from, size, false}, {to, product(ranks, size), true}}, [=](Communicator& group) {
                     return exchange(group, same_for_all(group, bytes_of(from), size),
                                     split_by_rank(group, bytes_of(to), size));
                 });
}

EMULATOR_EXPORT HcclResult HcclScatter(void* from, void* to, std::uint64_t count, HcclDataType type,
                                       std::uint32_t root, HcclComm comm, void* stream) {
    if (const HcclResult refused = check_rank(comm, "root", root)) {
        return refused;
    }
    const std::size_t size = bytes_of(count, type);
    const std::size_t sent = has_rank(comm, root) ? product(size_of(comm), size) : 0;
    return queue("HcclScatter", comm, stream, {{from, sent, false}, {to, size, true}},
                 [=](Communicator& group) {
                     return scatter(group, root, bytes_of(from), bytes_of(to), size);
                 });
}

EMULATOR_EXPORT HcclResult HcclAlltoAll(const void* from, std::uint64_t send_count,
                                        HcclDataType send_type, const void* to,
                                        std::uint64_t receive_count, HcclDataType receive_type,
                                        HcclComm comm, void* stream) {
    const std::size_t sent = bytes_of(send_count, send_type);
    const std::size_t received = bytes_of(receive_count, receive_type);
    const std::size_t ranks = size_of(comm);
    return queue("HcclAlltoAll", comm, stream,
                 {{from, product(ranks, sent), false}, {to, product(ranks, received), true}},
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
    for (const void* array : {send_counts, send_offsets, receive_counts, receive_offsets}) {
        if (check_given(array, "each array of counts and offsets") != HCCL_SUCCESS) {
            return HCCL_E_PTR;
        }
    }
    const Blocks outgoing =
        split_by_counts(*group, bytes_of(from), send_counts, send_offsets, width_of(send_type));
    const Blocks incoming = split_by_counts(*group, bytes_of(to), receive_counts, receive_offsets,
                                            width_of(receive_type));
    return queue("HcclAlltoAllV", comm, stream,
                 {access_of(from, outgoing, false), access_of(to, incoming, true)},
                 [=](Communicator& ranks) { return exchange(ranks, outgoing, incoming); });
}

EMULATOR_EXPORT HcclResult HcclSend(void* buffer, std::uint64_t count, HcclDataType type,
                                    std::uint32_t peer, HcclComm comm, void* stream) {
    const std::size_t size = bytes_of(count, type);
    return add_transfer("HcclSend", comm, stream,
                        {true, peer, static_cast<char*>(bytes_of(buffer)), size},
                        {buffer, size, false});
}

EMULATOR_EXPORT HcclResult HcclRecv(void* buffer, std::uint64_t count, HcclDataType type,
                                    std::uint32_t peer, HcclComm comm, void* stream) {
    const std::size_t size = bytes_of(count, type);
    return add_transfer("HcclRecv", comm, stream,
                        {false, peer, static_cast<char*>(bytes_of(buffer)), size},
                        {buffer, size, true});
}

EMULATOR_EXPORT HcclResult HcclBarrier(HcclComm comm, void* stream) {
    return queue("HcclBarrier", comm, stream, {}, barrier);
}
