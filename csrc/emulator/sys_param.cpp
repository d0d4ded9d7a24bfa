// AscendCL's system parameters, which have no effect here. Compiled into libascendcl and into
// libacl_op_compiler: torch_npu looks them up in the latter, and CANN's library has them through
// its dependency libascendcl.
#include "acl/acl_rt.h"

aclError aclrtSetSysParamOpt(aclSysParamOpt option, int64_t value) {
    (void)option;
    (void)value;
    return 0;
}
aclError aclrtCtxSetSysParamOpt(aclSysParamOpt option, int64_t value) {
    (void)option;
    (void)value;
    return 0;
}
aclError aclrtGetSysParamOpt(aclSysParamOpt option, int64_t* value) {
    (void)option;
    if (value == nullptr) {
        return ACL_ERROR_INVALID_PARAM;
    }
    *value = 0;
    return 0;
}
