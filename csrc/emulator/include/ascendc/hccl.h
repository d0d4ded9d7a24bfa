// The types of communication inside a kernel. The emulated core has no communicator of its own, so
// a kernel that requests one ends with a message.
#pragma once

#include "ascendc/tensor.h"

struct Mc2InitTiling {
    std::uint8_t reserved[64];
};
struct Mc2CcTiling {
    std::uint8_t reserved[280];
};

namespace AscendC {

constexpr std::uint32_t HCCL_MAX_RANK_NUM = 32;
constexpr std::uint32_t HCCL_GROUP_ID_0 = 0;

/// Memory of another rank, as a communicator describes it.
struct MemDetails {
    std::uint64_t size;
    std::uint64_t addr;
    std::uint32_t key;
};
struct IbVerbsData {
    MemDetails remoteInput, remoteOutput, localInput, localOutput;
    std::uint8_t res[24];
};

/// The context of a communicator, which a device's runtime prepares.
template <std::uint32_t index>
GM_ADDR GetHcclContext(aicore::Site site = aicore::Site::here()) {
    aicore::core->end("unsupported",
                      "GetHcclContext: kernels that communicate are not emulated; call the HCCL "
                      "functions of the host instead",
                      site);
}
template <std::uint32_t index>
void SetHcclContext(GM_ADDR /*context*/) {}

}  // namespace AscendC
