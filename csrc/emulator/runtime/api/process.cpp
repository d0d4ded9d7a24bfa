// The AscendCL functions of initialisation, versions, device properties and the log.
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "acl/acl.h"
#include "emulator/checks/live_handles.h"
#include "emulator/checks/races.h"
#include "emulator/faults/fault_plan.h"
#include "emulator/interface/services.h"
#include "emulator/options/options.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/process_state.h"
#include "emulator/trace/trace.h"

namespace ascend_emulator {
namespace {

void report_at_exit() {
    report_leaks();
    report_missed_faults();
    end_trace();
    if (options().races) {
        std::fprintf(stderr, "[emulated NPU] %ld races were reported\n", race_count());
    }
}

std::string why_options_are_bad() {
    std::string problem = options().problem;
    if (problem.empty()) {
        parse_faults(options().fault, &problem);
    }
    return problem;
}

void print_banner() {
    if (options().banner) {
        std::fprintf(stderr,
                     "[emulated NPU] process %d: %ld emulated %s, CANN %s; computed on the CPU, "
                     "not a measure of an NPU's speed\n",
                     getpid(), options().devices, options().soc.c_str(),
                     options().cann_version.c_str());
    }
}

template <std::size_t size>
void copy_text(char (&to)[size], const std::string& text) {
    std::snprintf(to, size, "%s", text.c_str());
}

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

aclError aclInit(const char* config_path) try {
    (void)config_path;
    set_current_function(__func__);
    const std::string problem = why_options_are_bad();
    if (!problem.empty()) {
        std::fprintf(stderr, "[emulated NPU] %s\n", problem.c_str());
        return fail(ACL_ERROR_INVALID_PARAM, problem);
    }
    if (const int code = has_faults() ? inject_fault(__func__) : 0) {
        return code;
    }
    if (state() == State::initialised) {
        return fail(ACL_ERROR_REPEAT_INITIALIZE, "was called before; call aclFinalize first");
    }
    if (state() == State::fresh) {
        std::atexit(report_at_exit);
        print_banner();
    }
    set_state(State::initialised);
    return 0;
}
ACL_CATCH

aclError aclFinalize() try {
    ACL_ENTER();
    set_state(State::finalised);
    return 0;
}
ACL_CATCH

const char* aclrtGetSocName() { return options().soc.c_str(); }

aclError aclsysGetCANNVersion(aclCANNPackageName package, aclCANNPackageVersion* version) try {
    ACL_REQUIRE(version);
    std::memset(version, 0, sizeof *version);
    copy_text(version->version,
              package == ACL_PKG_NAME_DRIVER ? options().driver_version : options().cann_version);
    return 0;
}
ACL_CATCH

aclError aclsysGetVersionStr(char* package, char* version) try {
    ACL_REQUIRE(version);
    const bool driver = package != nullptr && std::strstr(package, "driver") != nullptr;
    std::snprintf(version, ACL_PKG_VERSION_MAX_SIZE, "%s",
                  driver ? options().driver_version.c_str() : options().cann_version.c_str());
    return 0;
}
ACL_CATCH

aclError aclGetCannAttributeList(const aclCannAttr** attributes, size_t* count) try {
    ACL_REQUIRE(attributes);
    ACL_REQUIRE(count);
    static const aclCannAttr known[] = {ACL_CANN_ATTR_INF_NAN, ACL_CANN_ATTR_BF16};
    *attributes = known;
    *count = 2;
    return 0;
}
ACL_CATCH

aclError aclGetCannAttribute(aclCannAttr attribute, int32_t* value) try {
    ACL_REQUIRE(value);
    *value = attribute == ACL_CANN_ATTR_INF_NAN || attribute == ACL_CANN_ATTR_BF16 ? 1 : 0;
    return 0;
}
ACL_CATCH

aclError aclGetDeviceCapability(uint32_t device, aclDeviceInfo info, int64_t* value) try {
    ACL_REQUIRE(value);
    (void)device;
    constexpr int64_t l2_bytes = 192 << 20;
    *value = info == ACL_DEVICE_INFO_AI_CORE_NUM       ? 24
             : info == ACL_DEVICE_INFO_VECTOR_CORE_NUM ? 48
                                                       : l2_bytes;
    return 0;
}
ACL_CATCH

aclError aclrtGetDeviceResLimit(int32_t device, aclrtDevResLimitType type, uint32_t* value) try {
    ACL_REQUIRE(value);
    (void)device;
    *value = type == ACL_RT_DEV_RES_CUBE_CORE ? 24 : 48;
    return 0;
}
ACL_CATCH

aclError aclrtGetDeviceUtilizationRate(int32_t device, aclrtUtilizationInfo* rates) try {
    ACL_REQUIRE(rates);
    (void)device;
    rates->cubeUtilization = 0;
    rates->vectorUtilization = 0;
    rates->aicpuUtilization = 0;
    rates->memoryUtilization = 0;
    return 0;
}
ACL_CATCH

// Settings of a device without effect here.
aclError aclrtSetDeviceSatMode(aclrtFloatOverflowMode mode) {
    (void)mode;
    return 0;
}
aclError aclrtSetOpWaitTimeout(uint32_t timeout) {
    (void)timeout;
    return 0;
}
aclError aclrtSetOpExecuteTimeOut(uint32_t timeout) {
    (void)timeout;
    return 0;
}
aclError aclrtSetOpExecuteTimeOutV2(uint64_t timeout, uint64_t* actual) try {
    if (actual != nullptr) {
        *actual = timeout;
    }
    return 0;
}
ACL_CATCH

void aclAppLog(aclLogLevel level, const char* function, const char* file, uint32_t line,
               const char* format, ...) {
    (void)file;
    if (static_cast<long>(level) < options().log_level || format == nullptr) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    char text[1024];
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    std::fprintf(stderr, "[emulated NPU log %d] %s:%u %s\n", static_cast<int>(level),
                 function == nullptr ? "" : function, line, text);
}

/// The number of races reported so far, for tests.
EMULATOR_EXPORT long ascend_emulator_race_count() { return race_count(); }
