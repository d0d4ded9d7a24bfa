#include "acl/runtime.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>

namespace ascend_ops::acl {
namespace {

constexpr int device_memory = 1;  // ACL_HBM_MEM

std::atomic<bool> is_closed{false};
std::atomic<bool> is_forked_child{false};

const char* unusable_because() noexcept {
    if (is_forked_child) {
        return "AscendCL cannot be used in a forked child of a process that used it, as streams "
               "and pinned memory stay with the parent: start workers with spawn, or fork before "
               "the first use";
    }
    return is_closed ? "AscendCL cannot be called any more: the interpreter is shutting down"
                     : nullptr;
}

void* loaded_library() {
    void* library = dlopen("libascendcl.so", RTLD_LAZY | RTLD_NOLOAD);
    if (library == nullptr) {
        throw Error(
            "libascendcl.so is not loaded in this process: import torch_npu first. `ascend-ops "
            "report` lists the CANN and torch_npu that are installed; `ascend-ops emulate -- "
            "<program>` runs a program on the emulated NPU, without a real one");
    }
    return library;
}

template <class Signature>
void find(void* library, const char* name, Signature*& target) {
    target = reinterpret_cast<Signature*>(dlsym(library, name));
}

template <class Signature>
void require(void* library, const char* name, Signature*& target) {
    find(library, name, target);
    if (target == nullptr) {
        throw Error(std::string("ascend_ops.acl requires ") + name +
                    ", which the libascendcl.so of this CANN lacks; `ascend-ops report` prints its "
                    "version");
    }
}

}  // namespace

Functions::Functions() {
    void* library = loaded_library();
    require(library, "aclGetRecentErrMsg", recent_message);
    require(library, "aclrtGetDevice", get_device);
    require(library, "aclrtSetDevice", set_device);
    require(library, "aclrtGetDeviceCount", device_count);
    require(library, "aclrtGetMemInfo", memory_info);
    require(library, "aclrtGetSocName", soc_name);
    require(library, "aclrtMallocHost", malloc_host);
    require(library, "aclrtFreeHost", free_host);
    require(library, "aclrtCreateStream", create_stream);
    require(library, "aclrtDestroyStream", destroy_stream);
    require(library, "aclrtSynchronizeStream", synchronize_stream);
    require(library, "aclrtStreamWaitEvent", stream_wait_event);
    require(library, "aclrtCreateEvent", create_event);
    require(library, "aclrtDestroyEvent", destroy_event);
    require(library, "aclrtRecordEvent", record_event);
    require(library, "aclrtSynchronizeEvent", synchronize_event);
    require(library, "aclrtQueryEventStatus", query_event);
    require(library, "aclrtEventElapsedTime", elapsed_time);
    require(library, "aclrtMemcpyAsync", memcpy_async);
    find(library, "aclrtCreateStreamWithConfig", create_stream_with_config);
    find(library, "aclrtStreamQuery", query_stream);
    find(library, "aclrtCreateEventExWithFlag", create_event_ex_with_flag);
    find(library, "aclrtCreateEventWithFlag", create_event_with_flag);
    find(library, "aclrtGetVersion", runtime_version);
    find(library, "aclsysGetVersionStr", version_string);
    find(library, "aclsysGetCANNVersion", package_version);
    pthread_atfork(nullptr, nullptr, [] { is_forked_child = true; });
}

const Functions& functions() {
    if (const char* reason = unusable_because()) {
        throw Error(reason);
    }
    static const Functions found;
    return found;
}

bool is_usable() noexcept { return unusable_because() == nullptr; }

void close_runtime() noexcept { is_closed = true; }

void check(int status, const char* function, const std::string& purpose) {
    if (status == 0) {
        return;
    }
    const char* message = functions().recent_message();
    const bool has_message = message != nullptr && *message != '\0';
    throw Error(std::string(function) + " (" + purpose + ") failed with status " +
                std::to_string(status) + (has_message ? std::string(": ") + message : ""));
}

DeviceGuard::DeviceGuard(int device) {
    if (functions().get_device(&previous_) != 0) {
        previous_ = -1;  // a thread that has used no device yet
    }
    if (previous_ != device) {
        check(functions().set_device(device), "aclrtSetDevice",
              "select device " + std::to_string(device));
        changed_ = true;
    }
}

DeviceGuard::~DeviceGuard() {
    if (changed_ && previous_ >= 0 && is_usable()) {
        functions().set_device(previous_);
    }
}

int device_count() {
    std::uint32_t count = 0;
    check(functions().device_count(&count), "aclrtGetDeviceCount", "count the devices");
    return static_cast<int>(count);
}

std::string soc_name() {
    const char* name = functions().soc_name();
    if (name == nullptr) {
        throw Error("aclrtGetSocName returned null: no device is available");
    }
    return name;
}

Memory memory_info(int device) {
    const DeviceGuard guard(device);
    Memory memory{0, 0};
    check(functions().memory_info(device_memory, &memory.free, &memory.total), "aclrtGetMemInfo",
          "query the memory of device " + std::to_string(device));
    return memory;
}

std::string runtime_version() {
    std::int32_t major = 0;
    std::int32_t minor = 0;
    std::int32_t patch = 0;
    const auto call = functions().runtime_version;
    if (call == nullptr || call(&major, &minor, &patch) != 0) {
        return "";
    }
    return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

std::string cann_version() {
    constexpr std::size_t capacity = 4096;  // more than any version of the struct or string takes
    if (const auto call = functions().version_string) {
        char package[] = "runtime";
        char version[capacity] = {};
        if (call(package, version) == 0 && version[0] != '\0') {
            return version;
        }
    }
    if (const auto call = functions().package_version) {
        char version[capacity] = {};  // aclCANNPackageVersion begins with the version's text
        if (call(0, version) == 0) {
            return version;
        }
    }
    return "";
}

}  // namespace ascend_ops::acl
