// HCCL's functions that make, describe and destroy communicators.
#include <cstdio>
#include <cstring>

#include "emulator/hccl/objects/communicator.h"
#include "emulator/hccl/objects/queue.h"
#include "hccl/hccl_types.h"

using namespace ascend_emulator;

namespace {

HcclResult join(const char* function, std::uint32_t size, const HcclRootInfo* info,
                std::uint32_t rank, HcclComm* comm) {
    return entry([&] {
        if (const int refused = services().enter(function)) {
            return static_cast<HcclResult>(refused);
        }
        if (info == nullptr || comm == nullptr) {
            return check_given(nullptr, info == nullptr ? "rootInfo" : "comm");
        }
        const std::string root_info(info->internal, strnlen(info->internal, sizeof info->internal));
        std::string problem;
        Communicator* group = Communicator::join(size, rank, root_info, &problem);
        if (group == nullptr) {
            services().fail(collective_failed, problem);
            return HCCL_E_TIMEOUT;
        }
        *comm = group;
        return HCCL_SUCCESS;
    });
}

}  // namespace

EMULATOR_EXPORT HcclResult HcclGetRootInfo(HcclRootInfo* info) {
    const char* const function = __func__;
    return entry([&] {
        if (const int refused = services().enter(function)) {
            return static_cast<HcclResult>(refused);
        }
        if (check_given(info, "rootInfo") != 0) {
            return HCCL_E_PTR;
        }
        std::memset(info, 0, sizeof *info);
        std::snprintf(info->internal, sizeof info->internal, "%s", make_root_info().c_str());
        return HCCL_SUCCESS;
    });
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
    const char* const function = __func__;
    return entry([&] {
        if (const int refused = services().enter(function)) {
            return static_cast<HcclResult>(refused);
        }
        Communicator* group = group_of(comm);
        if (group == nullptr) {
            return HCCL_E_PARA;
        }
        services().synchronize_device();  // what is queued still uses it
        services().count_handle(HandleKind::communicator, -1);
        destroy_handle(group);
        return HCCL_SUCCESS;
    });
}

namespace {

/// Call `get` with a live group, if its result can be written.
template <class Get>
HcclResult describe(HcclComm comm, const void* result, const char* name, Get get) {
    return entry([&] {
        const Communicator* group = group_of(comm);
        if (group == nullptr) {
            return HCCL_E_PARA;
        }
        const HcclResult refused = check_given(result, name);
        if (refused == HCCL_SUCCESS) {
            get(*group);
        }
        return refused;
    });
}

}  // namespace

EMULATOR_EXPORT HcclResult HcclGetCommName(HcclComm comm, char* name) {
    return describe(comm, name, "commName", [&](const Communicator& group) {
        std::snprintf(name, COMM_NAME_MAX_LENGTH, "%s", group.name().c_str());
    });
}

EMULATOR_EXPORT HcclResult HcclGetRankSize(HcclComm comm, std::uint32_t* size) {
    return describe(comm, size, "rankSize",
                    [&](const Communicator& group) { *size = group.size(); });
}

EMULATOR_EXPORT HcclResult HcclGetRankId(HcclComm comm, std::uint32_t* rank) {
    return describe(comm, rank, "rank", [&](const Communicator& group) { *rank = group.rank(); });
}

EMULATOR_EXPORT HcclResult HcclGetCommAsyncError(HcclComm comm, HcclResult* error) {
    return describe(comm, error, "asyncError", [&](const Communicator& group) {
        *error = group.has_failed ? HCCL_E_REMOTE : HCCL_SUCCESS;
    });
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
