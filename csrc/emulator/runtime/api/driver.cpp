// The two functions of the driver's libascend_hal that torch_npu's profiler calls. An emulated
// device has no driver: the version is 0, so that torch_npu takes its times from the host's clock.
#include <cstdint>

#include "emulator/interface/export.h"
#include "emulator/runtime/api/entry.h"

namespace {

constexpr int not_supported = 65534;  // DRV_ERROR_NOT_SUPPORT

}  // namespace

EMULATOR_EXPORT int halGetAPIVersion(std::int32_t* version) {
    ACL_REQUIRE(version);
    *version = 0;
    return 0;
}

EMULATOR_EXPORT int halGetDeviceInfo(std::uint32_t device, std::int32_t module, std::int32_t kind,
                                     std::int64_t* value) {
    (void)device;
    (void)module;
    (void)kind;
    (void)value;
    return not_supported;
}
