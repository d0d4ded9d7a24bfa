// Two vectors of floats on the device and a third one for their sum.
#pragma once

#include <cstdint>
#include <cstdio>
#include <vector>

#include "acl/acl.h"

class Vectors {
  public:
    static constexpr uint32_t count = 8192;

    Vectors() {
        aclInit(nullptr);
        aclrtSetDevice(0);
        aclrtCreateStream(&stream);
        const std::vector<float> values(count, 1.25F);
        for (void** vector : {&x, &y, &z}) {
            aclrtMalloc(vector, bytes, ACL_MEM_MALLOC_HUGE_FIRST);
        }
        aclrtMemcpy(x, bytes, values.data(), bytes, ACL_MEMCPY_HOST_TO_DEVICE);
        aclrtMemcpy(y, bytes, values.data(), bytes, ACL_MEMCPY_HOST_TO_DEVICE);
    }
    Vectors(const Vectors&) = delete;
    Vectors& operator=(const Vectors&) = delete;
    ~Vectors() {
        for (void* vector : {x, y, z}) {
            aclrtFree(vector);
        }
        aclrtDestroyStream(stream);
        aclrtResetDevice(0);
        aclFinalize();
    }

    /// Wait, print how many sums are wrong, and return the exit code of the program.
    int report(const char* name) const {
        const int code = aclrtSynchronizeStream(stream);
        std::vector<float> sums(count);
        aclrtMemcpy(sums.data(), bytes, z, bytes, ACL_MEMCPY_DEVICE_TO_HOST);
        int wrong = 0;
        for (const float sum : sums) {
            wrong += sum == 2.5F ? 0 : 1;
        }
        std::printf("%s: code %d, wrong %d\n", name, code, wrong);
        return code == 0 && wrong == 0 ? 0 : 1;
    }

    void* x = nullptr;
    void* y = nullptr;
    void* z = nullptr;
    aclrtStream stream = nullptr;

  private:
    static constexpr size_t bytes = count * sizeof(float);
};
