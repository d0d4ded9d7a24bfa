// Compiles the text of a kernel with aclrtc and launches it in each way that AscendCL has.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "acl/acl.h"
#include "acl/acl_rt_compile.h"

namespace {

constexpr int count = 256;

const char* const text = R"(
#include "kernel_operator.h"
#include "factor.h"

using namespace AscendC;

struct Numbers {
    float addend;
    uint32_t first;
};

/// z = FACTOR * x + *addend + numbers.addend from numbers.first on
template <class T>
__global__ __aicore__ void scaled(GM_ADDR x, GM_ADDR z, GM_ADDR addend, Numbers numbers,
                                  uint8_t negate) {
    GlobalTensor<T> from, to, number;
    from.SetGlobalBuffer(reinterpret_cast<__gm__ T*>(x) + numbers.first);
    to.SetGlobalBuffer(reinterpret_cast<__gm__ T*>(z) + numbers.first);
    number.SetGlobalBuffer(reinterpret_cast<__gm__ T*>(addend));
    TPipe pipe;
    TQueBind<TPosition::VECIN, TPosition::VECOUT, 1> queue;
    TBuf<TPosition::VECCALC> buffer;
    const uint32_t count = 256 - numbers.first;
    pipe.InitBuffer(queue, 1, count * sizeof(T));
    pipe.InitBuffer(buffer, count * sizeof(T));
    LocalTensor<T> local = queue.AllocTensor<T>();
    DataCopy(local, from, count);
    SetFlag<HardEvent::MTE2_V>(EVENT_ID0);
    WaitFlag<HardEvent::MTE2_V>(EVENT_ID0);
    Muls(local, local, static_cast<T>(negate != 0 ? -FACTOR : FACTOR), count);
    Adds(local, local, number.GetValue(0), count);
    Adds(local, local, numbers.addend, count);
    SetFlag<HardEvent::V_MTE3>(EVENT_ID0);
    WaitFlag<HardEvent::V_MTE3>(EVENT_ID0);
    DataCopy(to, local, count);
    queue.FreeTensor(local);
}
)";

struct Numbers {
    float addend;
    uint32_t first;
};

void show(const char* what, int code) {
    std::printf("%s %d %s\n", what, code, code == 0 ? "" : aclGetRecentErrMsg());
}

std::string log_of(aclrtcProg program) {
    size_t bytes = 0;
    aclrtcGetCompileLogSize(program, &bytes);
    std::vector<char> log(bytes);
    aclrtcGetCompileLog(program, log.data());
    return log.data();
}

std::vector<char> compiled(std::string& name) {
    const char* headers[] = {"#define FACTOR 3\n"};
    const char* names[] = {"factor.h"};
    const char* options[] = {"--npu-arch=dav-2201", "-O2"};
    aclrtcProg program = nullptr;
    std::printf("create %d\n", aclrtcCreateProg(&program, text, "scaled.asc", 1, headers, names));
    std::printf("name %d\n", aclrtcAddNameExpr(program, "scaled<float>"));
    const int code = aclrtcCompileProg(program, 2, options);
    std::printf("compile %d %s\n", code, code == 0 ? "" : log_of(program).c_str());
    size_t bytes = 0;
    aclrtcGetBinDataSize(program, &bytes);
    std::vector<char> binary(bytes);
    aclrtcGetBinData(program, binary.data());
    const char* lowered = "";
    std::printf("lowered %d\n", aclrtcGetLoweredName(program, "scaled<float>", &lowered));
    name = lowered;
    std::printf("other name %d\n", aclrtcGetLoweredName(program, "scaled<half>", &lowered));
    std::printf("late name %d\n", aclrtcAddNameExpr(program, "scaled<half>"));
    aclrtcProg stale = program;
    std::printf("destroy %d\n", aclrtcDestroyProg(&program));
    std::printf("destroyed %d\n", aclrtcDestroyProg(&stale));
    return binary;
}

void compile_a_mistake() {
    aclrtcProg program = nullptr;
    aclrtcCreateProg(&program, "#include \"kernel_operator.h\"\n\nint broken = no_such_name;\n",
                     "broken.asc", 0, nullptr, nullptr);
    size_t bytes = 0;
    std::printf("before %d\n", aclrtcGetBinDataSize(program, &bytes));
    const int code = aclrtcCompileProg(program, 0, nullptr);
    std::printf("mistake %d\n%s", code, log_of(program).c_str());
    aclrtcDestroyProg(&program);
}

}  // namespace

int main() {
    compile_a_mistake();
    std::string name;
    const std::vector<char> binary = compiled(name);

    aclInit(nullptr);
    aclrtSetDevice(0);
    aclrtStream stream = nullptr;
    aclrtCreateStream(&stream);
    void* x = nullptr;
    void* z = nullptr;
    float numbers[count];
    for (int index = 0; index < count; ++index) {
        numbers[index] = static_cast<float>(index);
    }
    aclrtMalloc(&x, sizeof numbers, ACL_MEM_MALLOC_HUGE_FIRST);
    aclrtMalloc(&z, sizeof numbers, ACL_MEM_MALLOC_HUGE_FIRST);
    aclrtMemcpy(x, sizeof numbers, numbers, sizeof numbers, ACL_MEMCPY_HOST_TO_DEVICE);
    aclrtBinHandle loaded = nullptr;
    show("load", aclrtBinaryLoadFromData(binary.data(), binary.size(), nullptr, &loaded));
    aclrtFuncHandle function = nullptr;
    show("function", aclrtBinaryGetFunction(loaded, name.c_str(), &function));

    const auto print = [&](const char* what) {
        show(what, aclrtSynchronizeStream(stream));
        float found[count];
        aclrtMemcpy(found, sizeof found, z, sizeof found, ACL_MEMCPY_DEVICE_TO_HOST);
        std::printf("%g %g\n", found[8], found[255]);
    };

    Numbers argument{0.5F, 0};
    uint8_t negate = 0;
    aclrtArgsHandle list = nullptr;
    aclrtParamHandle parameter = nullptr;
    aclrtParamHandle place = nullptr;
    aclrtParamHandle changed = nullptr;
    show("init", aclrtKernelArgsInit(function, &list));
    aclrtKernelArgsAppend(list, &x, sizeof x, &parameter);
    show("too small", aclrtKernelArgsAppend(list, &z, 4, &parameter));
    aclrtKernelArgsAppend(list, &z, sizeof z, &parameter);
    show("placeholder", aclrtKernelArgsAppendPlaceHolder(list, &place));
    show("too few", aclrtKernelArgsFinalize(list));
    aclrtKernelArgsAppend(list, &argument, sizeof argument, &changed);
    show("last", aclrtKernelArgsAppend(list, &negate, sizeof negate, &parameter));
    show("too many", aclrtKernelArgsAppend(list, &negate, sizeof negate, &parameter));
    show("no data", aclrtKernelArgsFinalize(list));
    void* buffer = nullptr;
    show("not a placeholder", aclrtKernelArgsGetPlaceHolderBuffer(list, changed, 4, &buffer));
    show("buffer", aclrtKernelArgsGetPlaceHolderBuffer(list, place, sizeof(float), &buffer));
    const float addend = 100;
    std::memcpy(buffer, &addend, sizeof addend);
    show("not final", aclrtLaunchKernelWithConfig(function, 1, stream, nullptr, list, nullptr));
    show("final", aclrtKernelArgsFinalize(list));
    show("launch", aclrtLaunchKernelWithConfig(function, 1, stream, nullptr, list, nullptr));
    print("list");  // 124.5 865.5

    argument.first = 16;
    argument.addend = 1;
    show("update", aclrtKernelArgsParaUpdate(list, changed, &argument, sizeof argument));
    aclrtKernelArgsFinalize(list);
    aclrtLaunchKernelWithConfig(function, 1, stream, nullptr, list, nullptr);
    print("updated");  // 124.5 866

    float* on_device = nullptr;
    aclrtMalloc(reinterpret_cast<void**>(&on_device), 64, ACL_MEM_MALLOC_HUGE_FIRST);
    aclrtMemset(on_device, 64, 0, 64);
    negate = 1;
    void* array[] = {&x, &z, &on_device, &argument, &negate};
    show("array", aclrtLaunchKernelWithArgsArray(function, 1, stream, nullptr, array));
    print("arrays");  // 124.5 -764

    struct {
        void* x;
        void* z;
        void* addend;
        Numbers numbers;
        uint8_t negate;
        float data;
    } packed{x, z, nullptr, {0, 0}, 0, 1000};
    aclrtPlaceHolderInfo info{offsetof(decltype(packed), addend), offsetof(decltype(packed), data)};
    show("host", aclrtLaunchKernelWithHostArgs(function, 1, stream, nullptr, &packed, sizeof packed,
                                               &info, 1));
    print("placeholders");  // 1024 1765
    info.addrOffset = sizeof packed;
    show("outside", aclrtLaunchKernelWithHostArgs(function, 1, stream, nullptr, &packed,
                                                  sizeof packed, &info, 1));

    show("unload", aclrtBinaryUnLoad(loaded));
    show("unloaded", aclrtKernelArgsFinalize(list));
    aclrtFree(on_device);
    aclrtFree(x);
    aclrtFree(z);
    aclrtDestroyStream(stream);
    aclrtResetDevice(0);
    aclFinalize();
}
