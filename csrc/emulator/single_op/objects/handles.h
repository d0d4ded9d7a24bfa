// What the handles of single-operator calls point to.
#pragma once

#include "acl/acl_op_compiler.h"
#include "emulator/interface/guard.h"
#include "emulator/interface/single_op_call.h"

struct aclTensorDesc {
    static constexpr auto handle_kind = ascend_emulator::HandleKind::descriptor;
    aclDataType data_type = ACL_DT_UNDEFINED;
    std::vector<std::int64_t> sizes;
    aclFormat format = ACL_FORMAT_ND;
    std::vector<std::int64_t> storage_sizes;  // of a private format; else empty
    std::string name;
    bool on_host = false;
};

struct aclopAttr {
    static constexpr auto handle_kind = ascend_emulator::HandleKind::attribute;
    ascend_emulator::SingleOpCall values;
};

struct aclGraphDumpOption {
    static constexpr auto handle_kind = ascend_emulator::HandleKind::option;
};

namespace ascend_emulator {

/// 0, or a code, with an error noted, if the handle is not a live T.
template <class T>
int check_handle(const T* handle) {
    const std::string problem = why_unusable(handle);
    return problem.empty() ? 0 : services().fail(ACL_ERROR_INVALID_PARAM, problem);
}

}  // namespace ascend_emulator
