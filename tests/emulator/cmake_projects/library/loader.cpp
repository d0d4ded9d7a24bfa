// Loads the binary that its argument names, and launches a kernel in it. It has the one that a
// macro makes as well.
#include "vectors.h"

int main(int, char** arguments) {
    const Vectors vectors;
    aclrtBinHandle binary = nullptr;
    aclrtFuncHandle kernel = nullptr;
    aclrtFuncHandle of_macro = nullptr;
    if (aclrtBinaryLoadFromFile(arguments[1], nullptr, &binary) != 0 ||
        aclrtBinaryGetFunction(binary, "add_custom", &kernel) != 0 ||
        aclrtBinaryGetFunction(binary, "add_float", &of_macro) != 0) {
        std::printf("%s\n", aclGetRecentErrMsg());
        return 1;
    }
    struct {
        void* x;
        void* y;
        void* z;
        uint32_t count;
    } values{vectors.x, vectors.y, vectors.z, Vectors::count};
    aclrtLaunchKernelWithHostArgs(kernel, 4, vectors.stream, nullptr, &values, sizeof values,
                                  nullptr, 0);
    const int code = vectors.report("binary");
    aclrtBinaryUnLoad(binary);
    return code;
}
