// What the forms of the distance between rows share.
#pragma once

#include <limits>

namespace ascend_emulator {

/// The exponent of a norm; CANN writes infinity as -1.
inline double norm_exponent(double p) {
    return p == -1 ? std::numeric_limits<double>::infinity() : p;
}

}  // namespace ascend_emulator
