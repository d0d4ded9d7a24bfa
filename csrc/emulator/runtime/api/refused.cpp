// The functions of refused_functions.inc. They are defined without parameters, as the arguments are
// not needed to refuse a call, and under names that the headers do not declare.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <type_traits>

#include "acl/error_codes/rt_error_codes.h"
#include "emulator/interface/export.h"
#include "emulator/runtime/objects/error.h"

namespace ascend_emulator {
namespace {

template <class Result>
Result refuse(const char* function, const char* reason) {
    set_current_function(function);
    std::fprintf(stderr, "[emulated NPU] %s is not emulated: %s\n", function, reason);
    const int code = fail(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, std::string("not emulated: ") + reason);
    if constexpr (std::is_same_v<Result, int>) {
        return code;
    } else {
        return Result();
    }
}

// NOLINTNEXTLINE(bugprone-macro-parentheses): a name cannot be in parentheses
#define REASON(NAME, TEXT) constexpr const char* NAME = (TEXT);
#define REFUSED(RESULT, FUNCTION, WHY)
#define ABSENT(FUNCTION, WHY)
#include "emulator/runtime/api/refused_functions.inc"
#undef REASON
#undef REFUSED

}  // namespace
}  // namespace ascend_emulator

#define REASON(NAME, TEXT)
#define REFUSED(RESULT, FUNCTION, WHY)                                           \
    EMULATOR_EXPORT RESULT refused_##FUNCTION() __asm__(#FUNCTION);              \
    EMULATOR_EXPORT RESULT refused_##FUNCTION() {                                \
        return ascend_emulator::refuse<RESULT>(#FUNCTION, ascend_emulator::WHY); \
    }
#include "emulator/runtime/api/refused_functions.inc"
