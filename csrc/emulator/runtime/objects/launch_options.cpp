#include "emulator/runtime/objects/launch_options.h"

#include <string>

#include "emulator/runtime/objects/error.h"

namespace ascend_emulator {
namespace {

int not_emulated(const std::string& what) {
    return fail(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, what + " is not emulated");
}

int check(const aclrtLaunchKernelAttr& option) {
    switch (option.id) {
        case ACL_RT_LAUNCH_KERNEL_ATTR_SCHEM_MODE:
            return option.value.schemMode <= 1 ? 0
                                               : fail(ACL_ERROR_RT_PARAM_INVALID,
                                                      "schemMode must be 0 or 1, got " +
                                                          std::to_string(option.value.schemMode));
        case ACL_RT_LAUNCH_KERNEL_ATTR_DYN_UBUF_SIZE:
            return option.value.dynUBufSize == 0 ? 0 : not_emulated("a dynUBufSize other than 0");
        case ACL_RT_LAUNCH_KERNEL_ATTR_BLOCKDIM_OFFSET:
            return option.value.blockDimOffset == 0 ? 0
                                                    : not_emulated("a blockDimOffset other than 0");
        case ACL_RT_LAUNCH_KERNEL_ATTR_ENGINE_TYPE:
        case ACL_RT_LAUNCH_KERNEL_ATTR_BLOCK_TASK_PREFETCH:
        case ACL_RT_LAUNCH_KERNEL_ATTR_DATA_DUMP:
        case ACL_RT_LAUNCH_KERNEL_ATTR_TIMEOUT:
        case ACL_RT_LAUNCH_KERNEL_ATTR_TIMEOUT_US:
            return 0;
        default:
            return not_emulated("the launch attribute " +
                                std::to_string(static_cast<int>(option.id)));
    }
}

}  // namespace

int check_launch_options(const aclrtLaunchKernelCfg* options) {
    if (options == nullptr) {
        return 0;
    }
    if (options->attrs == nullptr && options->numAttrs != 0) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "attrs of cfg must not be null");
    }
    for (size_t index = 0; index < options->numAttrs; ++index) {
        if (const int refused = check(options->attrs[index])) {
            return refused;
        }
    }
    return 0;
}

}  // namespace ascend_emulator
