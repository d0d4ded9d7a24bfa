#include "npu/call/soc.h"

#include <string_view>

#include "npu/call/function.h"
#include "npu/call/torch_npu.h"

namespace ascend_ops::aclnn {
namespace {

bool reports_ascend950() {
    if (!torch_npu_problem().empty()) {
        return false;
    }
    const auto name = reinterpret_cast<const char* (*)()>(find_symbol("aclrtGetSocName"));
    const char* const soc = name == nullptr ? nullptr : name();
    return soc != nullptr && std::string_view(soc).rfind("Ascend950", 0) == 0;
}

}  // namespace

bool is_ascend950() {
    static const bool found = reports_ascend950();
    return found;
}

}  // namespace ascend_ops::aclnn
