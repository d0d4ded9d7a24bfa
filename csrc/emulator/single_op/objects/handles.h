// What the handles of single-operator calls point to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "acl/acl_op_compiler.h"
#include "emulator/interface/handle.h"
#include "emulator/interface/single_op_call.h"

struct aclTensorDesc : ascend_emulator::Handle {
    aclTensorDesc() : Handle(ascend_emulator::HandleKind::descriptor) {}
    aclDataType data_type = ACL_DT_UNDEFINED;
    std::vector<int64_t> sizes;
    aclFormat format = ACL_FORMAT_ND;
    std::string name;
    bool on_host = false;
};

struct aclopAttr {
    ascend_emulator::SingleOpCall values;
};

struct aclGraphDumpOption {};
