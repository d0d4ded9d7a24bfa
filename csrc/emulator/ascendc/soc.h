// What differs between the SoCs: sizes of on-chip memory, from the platform_config of CANN 8.1;
// those of Ascend 950 from the programming guide of CANN (NPU architecture 3510).
#pragma once

#include <cstdint>
#include <string>

#include "ascendc/core.h"

namespace aicore {

/// Of a SoC whose sizes are not known; no kernel can be launched on it.
constexpr std::uint32_t unknown_arch = 0;

constexpr std::uint32_t arch_of_ascend950 = 3510;

struct Soc {
    const char* prefix;  // of the name that aclrtGetSocName returns
    std::uint32_t arch;  // __NPU_ARCH__
    std::uint32_t bytes[space_count];
    std::string name;  // the whole name
};

/// The SoC of ASCEND_EMULATOR_SOC.
const Soc& soc();

}  // namespace aicore
