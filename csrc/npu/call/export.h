// What the library `aclnn` gives to the families, which are compiled with hidden visibility.
#pragma once

#define ASCEND_OPS_EXPORT __attribute__((visibility("default")))
