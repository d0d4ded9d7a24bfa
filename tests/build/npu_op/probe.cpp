// Calls one function of AscendCL, and reports which acl_rt.h it was compiled with.
#include <acl/acl.h>
#include <acl/acl_rt.h>

extern "C" __attribute__((visibility("default"))) int header_origin() { return ACL_HEADER_ORIGIN; }

extern "C" __attribute__((visibility("default"))) int device_count() {
    unsigned int count = 0;
    return aclrtGetDeviceCount(&count) == 0 ? static_cast<int>(count) : -1;
}
