// HCCL's functions that make, describe and destroy communicators.
#include <cstdio>
#include <cstring>

#include "emulator/hccl/objects/communicator.h"
#include "hccl/hccl_types.h"

using namespace ascend_emulator;

namespace {

HcclResult join(const char* function, std::uint32_t size, const HcclRootInfo* info,
                std::uint32_t rank, HcclComm* comm) {
    if (const int refused = services().enter(function)) {
        return static_cast<HcclResult>(refused);
    }
    std::string problem;
    Communicator* group = Communicator::join(size, rank, info->internal, &problem);
    if (group == nullptr) {
        services().fail(collective_failed, problem);
        return HCCL_E_TIMEOUT;
    }
    *comm = group;
    return HCCL_SUCCESS;
}

}  // namespace

EMULATOR_EXPORT HcclResult HcclGetRootInfo(HcclRootInfo* info) {
    if (const int refused = services().enter(__func__)) {
        return static_cast<HcclResult>(refused);
    }
    std::memset(info, 0, sizeof *info);
    std::snprintf(info->internal, sizeof info->internal, "%s", make_root_info().c_str());
    return HCCL_SUCCESS;
}

EMULATOR_EXPORT HcclResult HcclCommInitRootInfo(std::uint32_t size, const HcclRootInfo* info,
                                                std::uint32_t rank, HcclComm* comm) {
    return join(__func__, size, info, rank, comm);
}

EMULATOR_EXPORT HcclResult HcclCommInitRootInfoConfig(std::uint32_t size, const HcclRootInfo* info,
                                                      std::uint32_t rank,
                                                      const HcclCommConfig* config,
                                                      HcclComm* comm) {
    (void)config;
    return join(__func__, size, info, rank, comm);
}

EMULATOR_EXPORT HcclResult HcclCommDestroy(HcclComm comm) {
    if (const int refused = services().enter(__func__)) {
        return static_cast<HcclResult>(refused);
    }
    static auto* const quarantine = new Quarantine<Communicator, 16>;
    Communicator* group = group_of(comm);
    if (group == nullptr) {
        return HCCL_E_PARA;
    }
    services().synchronize_device();  // what is queued still uses it
    services().count_handle(HandleKind::communicator, -1);
    group->leave();
    quarantine->put(group);
    return HCCL_SUCCESS;
}

EMULATOR_EXPORT HcclResult HcclGetCommName(HcclComm comm, char* name) {
    const Communicator* group = group_of(comm);
    if (group == nullptr) {
        return HCCL_E_PARA;
    }
    std::snprintf(name, COMM_NAME_MAX_LENGTH, "%s", group->name().c_str());
    return HCCL_SUCCESS;
}

EMULATOR_EXPORT HcclResult HcclGetRankSize(HcclComm comm, std::uint32_t* size) {
    const Communicator* group = group_of(comm);
    *size = group == nullptr ? 0 : group->size();
    return group == nullptr ? HCCL_E_PARA : HCCL_SUCCESS;
}

EMULATOR_EXPORT HcclResult HcclGetRankId(HcclComm comm, std::uint32_t* rank) {
    const Communicator* group = group_of(comm);
    *rank = group == nullptr ? 0 : group->rank();
    return group == nullptr ? HCCL_E_PARA : HCCL_SUCCESS;
}

EMULATOR_EXPORT HcclResult HcclGetCommAsyncError(HcclComm comm, HcclResult* error) {
    const Communicator* group = group_of(comm);
    *error = group != nullptr && group->has_failed ? HCCL_E_REMOTE : HCCL_SUCCESS;
    return HCCL_SUCCESS;
}

EMULATOR_EXPORT const char* HcclGetErrorString(HcclResult result) {
    static thread_local char text[48];
    std::snprintf(text, sizeof text, "emulated HCCL error %d", static_cast<int>(result));
    return text;
}

EMULATOR_EXPORT std::uint32_t HcclGetCommConfigCapability() { return HCCL_COMM_CONFIG_RESERVED; }

EMULATOR_EXPORT HcclResult HcclSetConfig(HcclConfig config, HcclConfigValue value) {
    (void)config;
    (void)value;
    return HCCL_SUCCESS;
}
