// The AscendCL functions of errors.
#include "emulator/runtime/objects/error.h"

#include "acl/acl_rt.h"

using namespace ascend_emulator;

const char* aclGetRecentErrMsg() { return take_message(); }

aclError aclrtGetLastError(aclrtLastErrLevel level) {
    (void)level;
    return take_last_error();
}

aclError aclrtPeekAtLastError(aclrtLastErrLevel level) {
    (void)level;
    return last_error();
}
