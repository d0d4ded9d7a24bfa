// What the host part of an op reads about the NPU.
#pragma once

#include <cstdint>
#include <string>

#include "acl/acl.h"
#include "ascendc/core.h"

namespace platform_ascendc {

enum class CoreMemType : std::uint8_t { L0_A, L0_B, L0_C, L1, L2, UB, HBM, FB, BT, RESERVED };
enum class SocVersion : std::uint8_t {
    ASCEND910 = 0,
    ASCEND910B,
    ASCEND310P,
    ASCEND310B,
    ASCEND910_95,
    ASCEND910_93 = ASCEND910B,
    ASCEND950 = ASCEND910_95,
    RESERVED_VERSION = 255
};

class PlatformAscendC {
  public:
    PlatformAscendC() = default;
    /// An op of a graph gives the description of its platform; the emulated NPU has one.
    explicit PlatformAscendC(const void* /*platform*/) {}

    std::uint32_t GetCoreNumAic() const { return attribute(ACL_DEV_ATTR_CUBE_CORE_NUM); }
    std::uint32_t GetCoreNumAiv() const { return attribute(ACL_DEV_ATTR_VECTOR_CORE_NUM); }
    std::uint32_t GetCoreNum() const { return GetCoreNumAiv(); }
    std::uint32_t GetCoreNumVector() const { return 0; }  // only Ascend310P has such cores
    /// The blocks with which a kernel of these numbers of cores is launched.
    std::uint32_t CalcTschBlockDim(std::uint32_t slices, std::uint32_t cube_cores,
                                   std::uint32_t vector_cores) const {
        if (cube_cores == 0 || vector_cores == 0 || cube_cores > vector_cores) {
            return slices;
        }
        const std::uint32_t ratio = vector_cores / cube_cores;
        return (slices + ratio - 1) / ratio;
    }
    std::uint32_t CalcTschNumBlocks(std::uint32_t slices, std::uint32_t cube_cores,
                                    std::uint32_t vector_cores) const {
        return CalcTschBlockDim(slices, cube_cores, vector_cores);
    }
    void GetCoreMemSize(const CoreMemType& type, std::uint64_t& bytes) const {
        bytes = type == CoreMemType::L0_A   ? on_core(aicore::Space::l0a)
                : type == CoreMemType::L0_B ? on_core(aicore::Space::l0b)
                : type == CoreMemType::L0_C ? on_core(aicore::Space::l0c)
                : type == CoreMemType::L1   ? on_core(aicore::Space::l1)
                : type == CoreMemType::UB   ? on_core(aicore::Space::ub)
                : type == CoreMemType::BT   ? on_core(aicore::Space::bias)
                : type == CoreMemType::FB   ? on_core(aicore::Space::fixpipe)
                : type == CoreMemType::L2   ? 192U << 20
                                            : 0;
    }
    std::uint64_t GetLibApiWorkSpaceSize() const { return 16U << 20; }
    std::uint64_t GetResCubeGroupWorkSpaceSize() const { return 16U << 20; }
    std::uint64_t GetResGroupBarrierWorkSpaceSize() const { return 16U << 20; }
    SocVersion GetSocVersion() const {
        const std::string name = aclrtGetSocName() == nullptr ? "" : aclrtGetSocName();
        return name.rfind("Ascend310P", 0) == 0   ? SocVersion::ASCEND310P
               : name.rfind("Ascend310B", 0) == 0 ? SocVersion::ASCEND310B
               : name.rfind("Ascend950", 0) == 0  ? SocVersion::ASCEND950
                                                  : SocVersion::ASCEND910B;
    }

  private:
    static std::uint64_t on_core(aicore::Space space) { return aicore::Core::bytes(space); }
    static std::uint32_t attribute(aclrtDevAttr which) {
        std::int64_t value = 0;
        return aclrtGetDeviceInfo(0, which, &value) == ACL_SUCCESS
                   ? static_cast<std::uint32_t>(value)
                   : 0;
    }
};

class PlatformAscendCManager {
  public:
    /// The platform of the emulated NPU, whatever SoC is named.
    static PlatformAscendC* GetInstance() {
        static PlatformAscendC platform;
        return &platform;
    }
    static PlatformAscendC* GetInstance(const char* /*soc*/) { return GetInstance(); }
};

}  // namespace platform_ascendc
