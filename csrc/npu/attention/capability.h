// The error for an option that only a newer version of an aclnn function takes.
#pragma once

#include <stdexcept>
#include <string>

#include "npu/call/function.h"

namespace ascend_ops {

/// Throw std::runtime_error unless `is_met`: `option` requires `required`, a newer version of
/// `function` than this CANN has.
inline void check_capability(bool is_met, const char* option, const char* required,
                             const aclnn::Function& function) {
    if (!is_met) {
        throw std::runtime_error(std::string(option) + " requires " + required +
                                 " or newer; this CANN has " + function.name() +
                                 ": install a newer CANN, or call the op without it");
    }
}

}  // namespace ascend_ops
