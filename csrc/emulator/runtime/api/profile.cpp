// The AscendCL functions of profiles: spans of the tasks that streams run.
#include "emulator/trace/profile.h"

#include "acl/acl_prof.h"
#include "emulator/interface/export.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/profile_config.h"
#include "emulator/runtime/objects/stream.h"

using namespace ascend_emulator;

aclError aclprofInit(const char* folder, size_t length) try {
    ACL_REQUIRE(folder);
    if (length == 0) {
        return fail(ACL_ERROR_INVALID_PARAM, "length must be positive, got 0");
    }
    set_profile_folder(std::string(folder, length));
    return 0;
}
ACL_CATCH

// The metrics and events of AI cores, and the kinds of data, are a device's: only the tasks' spans
// are recorded.
aclprofConfig* aclprofCreateConfig(uint32_t* devices, uint32_t count, aclprofAicoreMetrics metrics,
                                   const aclprofAicoreEvents* events, uint64_t kinds) try {
    (void)metrics;
    (void)events;
    (void)kinds;
    if (count > static_cast<uint32_t>(device_count())) {
        fail(ACL_ERROR_INVALID_PARAM, "deviceNums must be at most " +
                                          std::to_string(device_count()) + ", got " +
                                          std::to_string(count));
        return nullptr;
    }
    return create_profile_config(devices, count);
} catch (...) {
    caught(__func__);
    return nullptr;
}

aclError aclprofDestroyConfig(const aclprofConfig* config) try {
    if (profile_config_of(config) == nullptr) {
        return ACL_ERROR_INVALID_PARAM;
    }
    destroy_profile_config(config);
    return 0;
}
ACL_CATCH

aclError aclprofStart(const aclprofConfig* handle) try {
    const ProfileConfig* config = profile_config_of(handle);
    if (config == nullptr) {
        return ACL_ERROR_INVALID_PARAM;
    }
    for (const int device : config->devices) {
        if (const int refused = check_device(device)) {
            return refused;
        }
    }
    start_profile(config->devices);
    return 0;
}
ACL_CATCH

// Waits for the tasks that were queued before.
aclError aclprofStop(const aclprofConfig* handle) try {
    const ProfileConfig* config = profile_config_of(handle);
    if (config == nullptr) {
        return ACL_ERROR_INVALID_PARAM;
    }
    for (const int device : config->devices) {
        if (const int refused = wait_for_device(device)) {
            return refused;
        }
    }
    return stop_profile() ? 0
                          : fail(ACL_ERROR_WRITE_FILE,
                                 "the profile cannot be written to the folder of aclprofInit");
}
ACL_CATCH

aclError aclprofFinalize() try {
    end_profile();
    return 0;
}
ACL_CATCH

// How often a device samples its hardware, which does not exist here.
aclError aclprofSetConfig(aclprofConfigType type, const char* value, size_t length) try {
    (void)type;
    (void)length;
    ACL_REQUIRE(value);
    return 0;
}
ACL_CATCH

aclError aclprofMarkEx(const char* text, size_t length, aclrtStream stream) try {
    ACL_ENTER();
    ACL_REQUIRE(text);
    return enqueue(stream, mark_task(std::string(text, length)));
}
ACL_CATCH

// The steps of a program are in torch_npu's own data.
aclprofStepInfo* aclprofCreateStepInfo() {
    static char step;
    return reinterpret_cast<aclprofStepInfo*>(&step);
}
void aclprofDestroyStepInfo(aclprofStepInfo* step) { (void)step; }
aclError aclprofGetStepTimestamp(aclprofStepInfo* step, aclprofStepTag tag,
                                 aclrtStream stream) try {
    (void)tag;
    ACL_ENTER();
    ACL_REQUIRE(step);
    return stream_of(stream) == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : 0;
}
ACL_CATCH
