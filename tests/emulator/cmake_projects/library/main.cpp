// Launches kernels with the functions that the headers declare.
#include "size.h"

#include "aclrtlaunch_add_custom.h"
#include "aclrtlaunch_add_float.h"
#include "aclrtlaunch_add_with_workspace.h"
#include "vectors.h"

namespace {

constexpr size_t system_bytes = 16 << 20;

int with_workspace(const Vectors& vectors) {
    const size_t bytes = Vectors::count * sizeof(float);
    void* workspace = nullptr;
    void* tiling = nullptr;
    aclrtMalloc(&workspace, system_bytes + bytes, ACL_MEM_MALLOC_HUGE_FIRST);
    aclrtMalloc(&tiling, sizeof Vectors::count, ACL_MEM_MALLOC_HUGE_FIRST);
    const uint32_t count = Vectors::count;
    aclrtMemcpy(tiling, sizeof count, &count, sizeof count, ACL_MEMCPY_HOST_TO_DEVICE);
    ACLRT_LAUNCH_KERNEL(add_with_workspace)(2, vectors.stream, vectors.x, vectors.y, workspace,
                                            tiling);
    aclrtSynchronizeStream(vectors.stream);
    aclrtMemcpy(vectors.z, bytes, static_cast<char*>(workspace) + system_bytes, bytes,
                ACL_MEMCPY_DEVICE_TO_DEVICE);
    const int code = vectors.report("workspace");
    aclrtFree(workspace);
    aclrtFree(tiling);
    return code;
}

int cleared(const Vectors& vectors) {
    const size_t bytes = Vectors::count * sizeof(float);
    return aclrtMemset(vectors.z, bytes, 0, bytes);
}

}  // namespace

int main() {
    const Vectors vectors;
    const uint32_t code = ACLRT_LAUNCH_KERNEL(add_custom)(4, vectors.stream, vectors.x, vectors.y,
                                                          vectors.z, Vectors::count);
    int wrong = vectors.report("add_custom") + static_cast<int>(code) + cleared(vectors);
    aclrtlaunch_add_float(4, vectors.stream, vectors.x, vectors.y, vectors.z,
                          Size{Vectors::count / 2, 2});
    wrong += vectors.report("add_float") + cleared(vectors) + with_workspace(vectors);
    std::printf("no blocks: %u\n", ACLRT_LAUNCH_KERNEL(add_custom)(0, vectors.stream, vectors.x,
                                                                   vectors.y, vectors.z, 1024));
    return wrong;
}
