// What the bodies of operators check, and how they refuse what they do not compute.
#pragma once

#include <stdexcept>
#include <string>

#include "emulator/aten/value.h"
#include "emulator/interface/services.h"

namespace ascend_emulator {

/// Throw, for arguments that a device refuses as well. `problem` has the form
/// "<argument> must be <what>, got <value>".
[[noreturn]] inline void refuse(const std::string& problem) {
    throw std::invalid_argument(problem);
}

/// Refuse unless `holds`.
inline void require(bool holds, const std::string& problem) {
    if (!holds) {
        refuse(problem);
    }
}

/// An optional tensor; one without elements is not given.
inline Tensor given(const Tensor& x) { return x.defined() && x.numel() != 0 ? x : Tensor(); }

/// Refuse a tensor that stands for a scalar unless it has one element.
inline void require_one_element(const char* argument, const Tensor& tensor) {
    require(tensor.numel() == 1, std::string(argument) + " must have one element, got " +
                                     std::to_string(tensor.numel()));
}

/// Throw, for arguments that a device takes and the emulator does not.
[[noreturn]] inline void not_emulated(const std::string& what) {
    throw NotEmulated(what + " is not emulated");
}

/// Whether the emulated SoC is an Ascend 950. npu/call/soc.cpp has its own function, which queries
/// AscendCL: the emulator shares no code with the libraries that run on it.
inline bool is_ascend950() { return services().options().soc.rfind("Ascend950", 0) == 0; }

/// Refuse the function on an SoC that CANN's documentation does not list for it. Without these
/// checks a program that only an Ascend 950 can run would pass its tests on any other SoC.
inline void require_ascend950() {
    require(is_ascend950(), "the SoC must be an Ascend 950, got " + services().options().soc);
}
/// Atlas A2 and A3.
inline bool is_ascend910b_or_910_93() {
    const std::string& soc = services().options().soc;
    return soc.rfind("Ascend910B", 0) == 0 || soc.rfind("Ascend910_93", 0) == 0;
}
inline void require_ascend910b_or_910_93() {
    require(is_ascend910b_or_910_93(),
            "the SoC must be an Ascend 910B or 910_93, got " + services().options().soc);
}
inline void require_ascend910b_910_93_or_950() {
    require(is_ascend910b_or_910_93() || is_ascend950(),
            "the SoC must be an Ascend 910B, 910_93 or 950, got " + services().options().soc);
}

}  // namespace ascend_emulator
