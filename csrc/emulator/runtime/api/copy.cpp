// The AscendCL functions of copies and fills.
#include "emulator/runtime/objects/copy.h"
#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/stream.h"

using namespace ascend_emulator;

// As on a device, not ordered after the tasks of streams: the caller synchronises first.
aclError aclrtMemcpy(void* to, size_t capacity, const void* from, size_t bytes,
                     aclrtMemcpyKind kind) try {
    ACL_ENTER();
    if (const int code = check_copy(to, capacity, from, bytes, kind)) {
        return code;
    }
    copy_now(to, from, bytes);
    return 0;
}
ACL_CATCH

aclError aclrtMemset(void* to, size_t capacity, int32_t value, size_t bytes) try {
    ACL_ENTER();
    if (const int code = check_fill(to, capacity, bytes)) {
        return code;
    }
    fill_now(to, value, bytes);
    return 0;
}
ACL_CATCH

aclError aclrtMemcpyAsync(void* to, size_t capacity, const void* from, size_t bytes,
                          aclrtMemcpyKind kind, aclrtStream stream) try {
    ACL_ENTER();
    const int code = check_copy(to, capacity, from, bytes, kind);
    return code != 0 ? code : enqueue(stream, copy_task(to, from, bytes));
}
ACL_CATCH

aclError aclrtMemcpyAsyncWithCondition(void* to, size_t capacity, const void* from, size_t bytes,
                                       aclrtMemcpyKind kind, aclrtStream stream) try {
    return aclrtMemcpyAsync(to, capacity, from, bytes, kind, stream);
}
ACL_CATCH

aclError aclrtMemsetAsync(void* to, size_t capacity, int32_t value, size_t bytes,
                          aclrtStream stream) try {
    ACL_ENTER();
    const int code = check_fill(to, capacity, bytes);
    return code != 0 ? code : enqueue(stream, fill_task(to, value, bytes));
}
ACL_CATCH

aclError aclrtMemsetD32(void* to, size_t capacity, uint32_t value, size_t count) try {
    ACL_ENTER();
    if (const int refused = check_fill_words(to, capacity, count)) {
        return refused;
    }
    fill_words_now(to, value, count);
    return 0;
}
ACL_CATCH

aclError aclrtMemsetD32Async(void* to, size_t capacity, uint32_t value, size_t count,
                             aclrtStream stream) try {
    ACL_ENTER();
    const int refused = check_fill_words(to, capacity, count);
    return refused != 0 ? refused : enqueue(stream, fill_words_task(to, value, count));
}
ACL_CATCH

// A hint to prefetch into a cache, which the emulator does not have.
aclError aclrtCmoAsync(void* address, size_t bytes, aclrtCmoType type, aclrtStream stream) try {
    (void)type;
    ACL_ENTER();
    return stream_of(stream) == nullptr ? ACL_ERROR_RT_INVALID_HANDLE
                                        : check_live("address", address, bytes);
}
ACL_CATCH
