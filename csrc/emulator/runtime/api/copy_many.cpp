// The AscendCL functions that copy several ranges in one call: rows of a matrix, and batches.
#include "emulator/runtime/objects/copy_many.h"

#include <cstdint>

#include "emulator/runtime/api/entry.h"

using namespace ascend_emulator;

aclError aclrtMemcpy2d(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                       size_t height, aclrtMemcpyKind kind) try {
    ACL_ENTER();
    return copy_matrix({static_cast<char*>(to), to_pitch, static_cast<const char*>(from),
                        from_pitch, width, height},
                       kind);
}
ACL_CATCH

aclError aclrtMemcpy2dAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                            size_t width, size_t height, aclrtMemcpyKind kind,
                            aclrtStream stream) try {
    ACL_ENTER();
    return queue_matrix({static_cast<char*>(to), to_pitch, static_cast<const char*>(from),
                         from_pitch, width, height},
                        kind, stream);
}
ACL_CATCH

// The addresses themselves say where they lie, so that the attributes of a batch are not needed.
aclError aclrtMemcpyBatchV2(void** to, size_t* capacities, void** from, size_t* sizes, size_t count,
                            aclrtMemcpyBatchAttr* attributes, size_t* indices,
                            size_t attribute_count) try {
    size_t failed = 0;
    return aclrtMemcpyBatch(to, capacities, from, sizes, count, attributes, indices,
                            attribute_count, &failed);
}
ACL_CATCH

aclError aclrtMemcpyBatch(void** to, size_t* capacities, void** from, size_t* sizes, size_t count,
                          aclrtMemcpyBatchAttr* attributes, size_t* indices, size_t attribute_count,
                          size_t* failed) try {
    (void)attributes;
    (void)indices;
    (void)attribute_count;
    ACL_ENTER();
    ACL_REQUIRE(to);
    ACL_REQUIRE(capacities);
    ACL_REQUIRE(from);
    ACL_REQUIRE(sizes);
    ACL_REQUIRE(failed);
    *failed = SIZE_MAX;
    return copy_batch({to, capacities, from, sizes, count}, failed);
}
ACL_CATCH

aclError aclrtMemcpyBatchAsync(void** to, size_t* capacities, void** from, size_t* sizes,
                               size_t count, aclrtMemcpyBatchAttr* attributes, size_t* indices,
                               size_t attribute_count, size_t* failed, aclrtStream stream) try {
    (void)attributes;
    (void)indices;
    (void)attribute_count;
    ACL_ENTER();
    ACL_REQUIRE(to);
    ACL_REQUIRE(capacities);
    ACL_REQUIRE(from);
    ACL_REQUIRE(sizes);
    ACL_REQUIRE(failed);
    *failed = SIZE_MAX;
    return queue_batch({to, capacities, from, sizes, count}, stream, failed);
}
ACL_CATCH

aclError aclrtMemcpyBatchAsyncV2(void** to, size_t* capacities, void** from, size_t* sizes,
                                 size_t count, aclrtMemcpyBatchAttr* attributes, size_t* indices,
                                 size_t attribute_count, aclrtStream stream) try {
    size_t failed = 0;
    return aclrtMemcpyBatchAsync(to, capacities, from, sizes, count, attributes, indices,
                                 attribute_count, &failed, stream);
}
ACL_CATCH
