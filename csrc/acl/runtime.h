// AscendCL's runtime functions, looked up by name in the libascendcl.so that the process has
// loaded.
//
// This compiles without CANN and its headers and runs with every CANN version: a function that an
// older version lacks is a null pointer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace ascend_ops::acl {

/// A failed call of AscendCL, with AscendCL's message and the purpose of the call.
class Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The AscendCL functions that are used here, under their names without `aclrt`.
struct Functions {
    Functions();

    const char* (*recent_message)();
    int (*get_device)(std::int32_t*);
    int (*set_device)(std::int32_t);
    int (*device_count)(std::uint32_t*);
    int (*memory_info)(int, std::size_t*, std::size_t*);
    const char* (*soc_name)();
    int (*malloc_host)(void**, std::size_t);
    int (*free_host)(void*);
    int (*create_stream)(void**);
    int (*destroy_stream)(void*);
    int (*synchronize_stream)(void*);
    int (*stream_wait_event)(void*, void*);
    int (*create_event)(void**);
    int (*destroy_event)(void*);
    int (*record_event)(void*, void*);
    int (*synchronize_event)(void*);
    int (*query_event)(void*, int*);
    int (*elapsed_time)(float*, void*, void*);
    int (*memcpy_async)(void*, std::size_t, const void*, std::size_t, int, void*);

    // Null in a CANN that lacks them.
    int (*create_stream_with_config)(void**, std::uint32_t, std::uint32_t);
    int (*query_stream)(void*, int*);
    int (*create_event_ex_with_flag)(void**, std::uint32_t);
    int (*create_event_with_flag)(void**, std::uint32_t);
    int (*runtime_version)(std::int32_t*, std::int32_t*, std::int32_t*);
    int (*version_string)(char*, char*);
    int (*package_version)(int, void*);
};

/// The functions. Throws Error if AscendCL is not loaded, in a forked child and after shut_down().
const Functions& functions();

/// Whether functions() can be called. If not, destructors do nothing.
bool is_usable() noexcept;

/// Throw Error for a status other than 0. `purpose` describes the call, as "pin 512 bytes".
void check(int status, const char* function, const std::string& purpose);

/// Run `work` and return whether it threw no exception, for destructors, which cannot report
/// errors.
template <class Work>
bool attempt(const Work& work) noexcept {
    try {
        work();
        return true;
    } catch (const std::exception&) {
        return false;
    }
}

/// Never call AscendCL again, not even in destructors.
void close_runtime() noexcept;

/// Makes `device` the thread's current one, and restores the previous one.
class DeviceGuard {
  public:
    explicit DeviceGuard(int device);
    ~DeviceGuard();
    DeviceGuard(const DeviceGuard&) = delete;
    DeviceGuard& operator=(const DeviceGuard&) = delete;

  private:
    std::int32_t previous_ = -1;
    bool changed_ = false;
};

int device_count();
std::string soc_name();

struct Memory {
    std::size_t free;
    std::size_t total;
};
Memory memory_info(int device);

/// "" if this CANN does not report it.
std::string runtime_version();
std::string cann_version();

}  // namespace ascend_ops::acl
