#include "emulator/hccl/objects/send_receive.h"

#include "emulator/hccl/objects/queue.h"

namespace ascend_emulator {
namespace {

/// The transfers of a group that one communicator runs on one stream.
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

}  // namespace

HcclResult begin_group() {
    ++group_depth;
    return HCCL_SUCCESS;
}

HcclResult end_group() {
    if (group_depth == 0) {
        return HCCL_E_PARA;
    }
    if (--group_depth != 0) {
        return HCCL_SUCCESS;
    }
    return entry([] {
        HcclResult first = HCCL_SUCCESS;
        std::vector<Pending> all;
        all.swap(pending);
        for (Pending& one : all) {
            const HcclResult result = queue_transfers(std::move(one));
            first = first == HCCL_SUCCESS ? result : first;
        }
        return first;
    });
}

HcclResult add_transfer(const char* name, HcclComm group, void* stream, const Transfer& transfer,
                        const Access& access) {
    return entry([&] {
        if (const int refused = services().enter(name)) {
            return static_cast<HcclResult>(refused);
        }
        if (const HcclResult refused = check_rank(group, "the peer's rank", transfer.peer)) {
            return refused;
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
    });
}

}  // namespace ascend_emulator
