// Marks what the library `aclnn` exports to the op families; the rest is hidden.
#pragma once

#define ASCEND_OPS_EXPORT __attribute__((visibility("default")))
