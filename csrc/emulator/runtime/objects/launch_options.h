// The options of a launch (aclrtLaunchKernelCfg).
#pragma once

#include "acl/acl_rt.h"

namespace ascend_emulator {

/// 0, or a code, with an error noted, if an option would change the result and is not emulated.
/// What concerns scheduling and dumps, and a time limit of the device, is accepted: the time of an
/// emulated kernel is not that of a device.
int check_launch_options(const aclrtLaunchKernelCfg* options);

}  // namespace ascend_emulator
