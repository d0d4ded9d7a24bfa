// The executors that phase 1 of an aclnn function creates.
#pragma once

struct aclOpExecutor;

namespace ascend_emulator {

/// Allow more than one launch. 0, or the code, with an error noted, if it is not a live executor.
int set_repeatable(aclOpExecutor* executor);
int destroy_executor(aclOpExecutor* executor);

}  // namespace ascend_emulator
