// HCCL's functions that make, describe and destroy communicators.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>
#include <vector>

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

/// A message if the devices are not ones of this process, each once, or "".
std::string why_not_devices(const std::int32_t* devices, std::uint32_t count) {
    const auto visible = static_cast<std::int32_t>(services().options().visible_devices.size());
    std::set<std::int32_t> seen;
    for (std::uint32_t index = 0; index < count; ++index) {
        const std::int32_t device = devices[index];
        if (device < 0 || device >= visible || !seen.insert(device).second) {
            return "devices[" + std::to_string(index) + "] must be 0 to " +
                   std::to_string(visible - 1) + " and not be given before, got " +
                   std::to_string(device);
        }
    }
    return {};
}

HcclResult join_all(std::uint32_t count, const std::int32_t* devices, HcclComm* comms) {
    if (devices == nullptr || comms == nullptr) {
        return check_given(nullptr, devices == nullptr ? "devices" : "comms");
    }
    if (count == 0 || count > max_ranks) {
        return static_cast<HcclResult>(services().fail(
            HCCL_E_PARA,
            "ndev must be 1 to " + std::to_string(max_ranks) + ", got " + std::to_string(count)));
    }
    std::string problem = why_not_devices(devices, count);
    if (!problem.empty()) {
        return static_cast<HcclResult>(services().fail(HCCL_E_PARA, problem));
    }
    const std::vector<Communicator*> groups = Communicator::join_all(count, &problem);
    if (!problem.empty()) {
        services().fail(collective_failed, problem);
        return HCCL_E_RUNTIME;
    }
    std::copy(groups.begin(), groups.end(), comms);
    return HCCL_SUCCESS;
}

}  // namespace

EMULATOR_EXPORT HcclResult HcclCommInitAll(std::uint32_t ndev, std::int32_t* devices,
                                           HcclComm* comms) {
    const char* const function = __func__;
    return entry([&] {
        const int refused = services().enter(function);
        return refused != 0 ? static_cast<HcclResult>(refused) : join_all(ndev, devices, comms);
    });
}

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
