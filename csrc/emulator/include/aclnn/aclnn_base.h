// What the header of every aclnn function includes.
#pragma once

#include "acl/acl_rt.h"
#include "aclnn/acl_meta.h"

#ifdef __cplusplus
extern "C" {
#endif

ACL_FUNC_VISIBILITY aclnnStatus aclnnInit(const char* config_path);
ACL_FUNC_VISIBILITY aclnnStatus aclnnFinalize(void);

#ifdef __cplusplus
}
#define ACLNN_ANY_ARGUMENTS ...
#else
#define ACLNN_ANY_ARGUMENTS
#endif

/// Declare a function of CANN that the emulated CANN does not have: a call does not compile.
#define ACLNN_NOT_EMULATED(NAME)                                                               \
    aclnnStatus NAME##GetWorkspaceSize(ACLNN_ANY_ARGUMENTS)                                    \
        __attribute__((error(#NAME " is not emulated: see `ascend-ops emulate --coverage`"))); \
    aclnnStatus NAME(ACLNN_ANY_ARGUMENTS)                                                      \
        __attribute__((error(#NAME " is not emulated: see `ascend-ops emulate --coverage`")))
