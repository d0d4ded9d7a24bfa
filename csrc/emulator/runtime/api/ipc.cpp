// The AscendCL functions of memory shared between processes.
#include "emulator/runtime/objects/ipc.h"
#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"

using namespace ascend_emulator;

aclError aclrtIpcMemGetExportKey(void* address, size_t bytes, char* key, size_t capacity,
                                 uint64_t flags) {
    (void)bytes;
    (void)flags;
    ACL_ENTER();
    return export_block(address, key, capacity);
}

// Every process of this user may import.
aclError aclrtIpcMemSetImportPid(const char* key, int32_t* pids, size_t count) {
    (void)key;
    (void)pids;
    (void)count;
    ACL_ENTER();
    return 0;
}

aclError aclrtIpcMemImportByKey(void** address, const char* key, uint64_t flags) {
    (void)flags;
    ACL_ENTER();
    return import_block(address, key);
}

aclError aclrtIpcMemClose(const char* key) {
    ACL_ENTER();
    close_import(key);
    return 0;
}
