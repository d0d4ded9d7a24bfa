// Adds two tensors as CANN's samples do, and prints the sum. The exit status is 0 if it is right.
#include <cstdio>
#include <vector>

#include "acl/acl.h"
#include "aclnnop/aclnn_add.h"

#define CHECK(CALL)                                                         \
    do {                                                                    \
        const int code = (CALL);                                            \
        if (code != ACL_SUCCESS) {                                          \
            std::printf("%s: %d, %s\n", #CALL, code, aclGetRecentErrMsg()); \
            return 1;                                                       \
        }                                                                   \
    } while (0)

static int create(const std::vector<float>& values, void** data, aclTensor** tensor) {
    const std::vector<int64_t> shape = {2, 2};
    const std::vector<int64_t> strides = {2, 1};
    const size_t bytes = values.size() * sizeof(float);
    CHECK(aclrtMalloc(data, bytes, ACL_MEM_MALLOC_HUGE_FIRST));
    CHECK(aclrtMemcpy(*data, bytes, values.data(), bytes, ACL_MEMCPY_HOST_TO_DEVICE));
    *tensor = aclCreateTensor(shape.data(), shape.size(), ACL_FLOAT, strides.data(), 0,
                              ACL_FORMAT_ND, shape.data(), shape.size(), *data);
    return 0;
}

int main() {
    CHECK(aclInit(nullptr));
    CHECK(aclrtSetDevice(0));
    aclrtStream stream;
    CHECK(aclrtCreateStream(&stream));
    void* data[3];
    aclTensor *self, *other, *out;
    CHECK(create({1, 2, 3, 4}, &data[0], &self));
    CHECK(create({10, 20, 30, 40}, &data[1], &other));
    CHECK(create({0, 0, 0, 0}, &data[2], &out));
    float factor = 2;
    aclScalar* alpha = aclCreateScalar(&factor, ACL_FLOAT);

    uint64_t bytes = 0;
    aclOpExecutor* executor;
    CHECK(aclnnAddGetWorkspaceSize(self, other, alpha, out, &bytes, &executor));
    void* workspace = nullptr;
    if (bytes > 0) {
        CHECK(aclrtMalloc(&workspace, bytes, ACL_MEM_MALLOC_HUGE_FIRST));
    }
    CHECK(aclnnAdd(workspace, bytes, executor, stream));
    CHECK(aclrtSynchronizeStream(stream));

    std::vector<float> sum(4);
    CHECK(aclrtMemcpy(sum.data(), 16, data[2], 16, ACL_MEMCPY_DEVICE_TO_HOST));
    std::printf("%g %g %g %g\n", sum[0], sum[1], sum[2], sum[3]);

    for (aclTensor* tensor : {self, other, out}) {
        CHECK(aclDestroyTensor(tensor));
    }
    CHECK(aclDestroyScalar(alpha));
    for (void* each : data) {
        CHECK(aclrtFree(each));
    }
    if (workspace != nullptr) {
        CHECK(aclrtFree(workspace));
    }
    CHECK(aclrtDestroyStream(stream));
    CHECK(aclrtResetDevice(0));
    CHECK(aclFinalize());
    return sum == std::vector<float>{21, 42, 63, 84} ? 0 : 1;
}
