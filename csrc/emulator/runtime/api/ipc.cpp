// The AscendCL functions of memory shared between processes.
#include "emulator/runtime/objects/ipc.h"
#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"

using namespace ascend_emulator;

aclError aclrtIpcMemGetExportKey(void* address, size_t bytes, char* key, size_t capacity,
                                 uint64_t flags) try {
    (void)bytes;
    (void)flags;
    ACL_ENTER();
    ACL_REQUIRE(key);
    return export_block(address, key, capacity);
}
ACL_CATCH

// Every process of this user may import.
aclError aclrtIpcMemSetImportPid(const char* key, int32_t* pids, size_t count) try {
    (void)key;
    (void)pids;
    (void)count;
    ACL_ENTER();
    ACL_REQUIRE(key);
    return 0;
}
ACL_CATCH

aclError aclrtIpcMemImportByKey(void** address, const char* key, uint64_t flags) try {
    (void)flags;
    ACL_ENTER();
    ACL_REQUIRE(address);
    ACL_REQUIRE(key);
    return import_block(address, key);
}
ACL_CATCH

aclError aclrtIpcMemClose(const char* key) try {
    ACL_ENTER();
    ACL_REQUIRE(key);
    return close_import(key);
}
ACL_CATCH
