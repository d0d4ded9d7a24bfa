// printf, DumpTensor and assert inside a kernel.
#pragma once

#include <cassert>
#include <chrono>

#include "ascendc/tensor.h"

namespace AscendC {

/// Print like the C function; each line begins with the block.
template <class... Arguments>
void printf(const char* format, Arguments... values) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
    aicore::print(format, values...);
#pragma GCC diagnostic pop
}
#define PRINTF ::AscendC::printf

template <class T>
void print_elements(const T* values, std::uint32_t count, std::uint32_t description) {
    aicore::print("DumpTensor %u, %u elements:", description, count);
    for (std::uint32_t index = 0; index < count; ++index) {
        aicore::print(" %g", static_cast<double>(static_cast<float>(values[index])));
    }
    aicore::print("\n");
}
template <class T>
void DumpTensor(const LocalTensor<T>& tensor, std::uint32_t desc, std::uint32_t dumpSize) {
    print_elements(tensor.data(), dumpSize, desc);
}
template <class T>
void DumpTensor(const GlobalTensor<T>& tensor, std::uint32_t desc, std::uint32_t dumpSize,
                aicore::Site site = aicore::Site::here()) {
    print_elements(static_cast<const T*>(tensor.use({"DumpTensor", aicore::Pipe::s, site}, 0,
                                                    dumpSize * sizeof(T), false)),
                   dumpSize, desc);
}

template <class T>
void DumpTensor(const LocalTensor<T>& tensor, std::uint32_t desc, std::uint32_t dumpSize,
                const ShapeInfo& /*shape*/) {
    print_elements(tensor.data(), dumpSize, desc);
}
inline void DumpAccChkPoint(...) {}
inline void PrintTimeStamp(std::uint32_t descId) { aicore::print("time stamp %u\n", descId); }

inline std::int64_t GetSystemCycle() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
}
inline void Trap(aicore::Site site = aicore::Site::here()) {
    aicore::core->end("trap", "the kernel called Trap", site);
}

}  // namespace AscendC

template <class T>
void asc_dump_gm(__gm__ T* values, std::uint32_t desc, std::uint32_t count,
                 aicore::Site site = aicore::Site::here()) {
    AscendC::GlobalTensor<T> tensor;
    tensor.SetGlobalBuffer(values);
    AscendC::DumpTensor(tensor, desc, count, site);
}

#define ascendc_assert(condition, ...)                                                           \
    ((condition) ? (void)0                                                                       \
                 : ::aicore::core->end("assert", "ascendc_assert(" #condition ") does not hold", \
                                       ::aicore::Site::here(__FILE__, __LINE__)))

// A kernel's log, which a device writes only in debug builds.
#define KERNEL_LOG(level, ...) ((void)0)
#define KERNEL_LOG_INTERNAL(level, ...) ((void)0)
#define ASCENDC_ASSERT(condition, behaviour) ascendc_assert(condition)
#define ASCENDC_REPORT_NOT_SUPPORT(condition, ...) ((void)0)
#define ASCENDC_DEBUG_ASSERT(...) ((void)0)
#ifndef ASSERT
#define ASSERT(condition, ...) ascendc_assert(condition)
#endif

// A kernel's assert takes a message as well, and ends the kernel.
#undef assert
#define assert(condition, ...)                                                   \
    ((condition) ? (void)0                                                       \
     : ::aicore::core != nullptr                                                 \
         ? ::aicore::core->end("assert", "assert(" #condition ") does not hold", \
                               ::aicore::Site::here(__FILE__, __LINE__))         \
         : __assert_fail(#condition, __FILE__, __LINE__, __func__))
