// Queues the launch of a kernel in Ascend C behind what torch_npu has queued, for callers in
// Python. Includes no torch header, so that it compiles in a second.
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <string>

#include "npu/call/function.h"
#include "npu/call/torch_npu.h"

namespace ascend_ops::aclnn {
namespace {

/// Launches a kernel: the number of blocks, the stream, and the kernel's arguments as a structure.
using LaunchFunction = void (*)(std::uint32_t, void*, const void*);

constexpr const char* other_device = "device";
constexpr int thread_level = 0;  // ACL_RT_THREAD_LEVEL

/// Launch and return the error that the launch has left, since `<<<>>>` returns none.
int launch(LaunchFunction function, std::uint32_t blocks, void* stream, const void* arguments) {
    static const auto take_error = reinterpret_cast<int (*)(int)>(find_symbol("aclrtGetLastError"));
    if (take_error == nullptr) {  // CANN before 8.2
        function(blocks, stream, arguments);
        return 0;
    }
    take_error(thread_level);  // an error of before is not this kernel's
    function(blocks, stream, arguments);
    return take_error(thread_level);
}

bool is_current(int device) {
    static const auto get = reinterpret_cast<int (*)(int*)>(find_symbol("aclrtGetDevice"));
    int current = -1;
    return get != nullptr && get(&current) == 0 && current == device;
}

}  // namespace
}  // namespace ascend_ops::aclnn

/// Queue `function` on the current stream of `device`. Returns null, or "device" if the thread's
/// current device is another one, or the message of an error, which lives until the thread's next
/// call.
extern "C" ASCEND_OPS_EXPORT const char* ascend_ops_queue_kernel(const char* name, void* function,
                                                                 int device, std::uint32_t blocks,
                                                                 const char* arguments,
                                                                 std::uint64_t bytes) noexcept {
    using namespace ascend_ops::aclnn;
    thread_local std::string problem;
    try {
        if (!is_current(device)) {
            return other_device;
        }
        void* const stream = torch_npu().current_stream();
        const std::shared_ptr<char[]> copy(new char[bytes]);
        std::memcpy(copy.get(), arguments, bytes);
        torch_npu().queue(name, [=] {
            return launch(reinterpret_cast<LaunchFunction>(function), blocks, stream, copy.get());
        });
        return nullptr;
    } catch (const std::exception& error) {
        problem = error.what();
        return problem.c_str();
    }
}
