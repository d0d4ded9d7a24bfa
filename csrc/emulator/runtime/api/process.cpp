// The AscendCL functions of initialisation, versions, device properties and the log.
#include <unistd.h>

#include <atomic>
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
#include "emulator/trace/kernel_file.h"
#include "emulator/trace/trace.h"

namespace ascend_emulator {
namespace {

std::atomic<std::uint64_t> operator_timeout_ms{0};

void report_at_exit() {
    if (is_forked_child()) {  // what is left is the parent's, and its threads may hold the locks
        return;
    }
    report_leaks();
    report_missed_faults();
    end_trace();
    end_kernel_trace();
    if (options().races) {
        std::fprintf(stderr, "[emulated NPU] %ld races were reported\n", race_count());
    }
}

std::string why_options_are_bad() {
    std::string problem = options().problem;
    if (problem.empty()) {
        parse_faults(options().fault, &problem);
    }
    return problem.empty() ? why_no_kernel_trace() : problem;
}

void print_banner() {
    if (options().banner) {
        std::fprintf(stderr,
                     "[emulated NPU] process %d: %zu emulated %s, CANN %s; computed on the CPU, "
                     "not a measure of an NPU's speed\n",
                     getpid(), options().visible_devices.size(), options().soc.c_str(),
                     options().cann_version.c_str());
    }
}

template <std::size_t size>
void copy_text(char (&to)[size], const std::string& text) {
    std::snprintf(to, size, "%s", text.c_str());
}

/// Whether a call initialised the process before aclInit did.
std::atomic<bool> is_implicit{false};

int initialise(const char* function) {
    set_current_function(function);
    const std::string problem = why_options_are_bad();
    if (!problem.empty()) {
        std::fprintf(stderr, "[emulated NPU] %s\n", problem.c_str());
        return fail(ACL_ERROR_INVALID_PARAM, problem);
    }
    if (const int code = has_faults() ? inject_fault(function) : 0) {
        return code;
    }
    if (state() == State::fresh) {
        std::atexit(report_at_exit);
        keep_options_in_forks();
        print_banner();
    }
    set_state(State::initialised);
    return 0;
}

}  // namespace

// From version 9 on, CANN initialises itself at the first call.
int initialise_implicitly() {
    if (std::atol(options().cann_version.c_str()) < 9) {
        return fail(ACL_ERROR_UNINITIALIZE, "called before aclInit; call aclInit first");
    }
    const int code = initialise("aclInit");
    is_implicit = code == 0;
    return code;
}

}  // namespace ascend_emulator

using namespace ascend_emulator;

aclError aclInit(const char* config_path) try {
    (void)config_path;
    set_current_function(__func__);
    if (is_implicit.exchange(false)) {
        return 0;
    }
    if (state() == State::initialised) {
        return fail(ACL_ERROR_REPEAT_INITIALIZE, "was called before; call aclFinalize first");
    }
    return initialise(__func__);
}
ACL_CATCH

aclError aclFinalize() try {
    ACL_ENTER();
    set_state(State::finalised);
    return 0;
}
ACL_CATCH

// One aclInit is one reference.
aclError aclFinalizeReference(uint64_t* references) try {
    ACL_ENTER();
    if (references != nullptr) {
        *references = 0;
    }
    return aclFinalize();
}
ACL_CATCH

aclError aclrtGetVersion(int32_t* major, int32_t* minor, int32_t* patch) try {
    ACL_REQUIRE(major);
    ACL_REQUIRE(minor);
    ACL_REQUIRE(patch);
    *major = ACL_MAJOR_VERSION;
    *minor = ACL_MINOR_VERSION;
    *patch = ACL_PATCH_VERSION;
    return 0;
}
ACL_CATCH

aclError aclrtCheckArchCompatibility(const char* soc, int32_t* compatible) try {
    ACL_ENTER();
    ACL_REQUIRE(soc);
    ACL_REQUIRE(compatible);
    *compatible = options().soc == soc ? 1 : 0;
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

// Settings of a device without effect here.
aclError aclrtSetDeviceSatMode(aclrtFloatOverflowMode mode) {
    (void)mode;
    return 0;
}
aclError aclrtSetOpWaitTimeout(uint32_t timeout) {
    (void)timeout;
    return 0;
}

// The longest time that an operator may take, which the emulator stores and does not enforce.
aclError aclrtSetOpExecuteTimeOut(uint32_t seconds) {
    operator_timeout_ms = std::uint64_t{seconds} * 1000;
    return 0;
}
aclError aclrtSetOpExecuteTimeOutWithMs(uint32_t milliseconds) {
    operator_timeout_ms = milliseconds;
    return 0;
}
aclError aclrtSetOpExecuteTimeOutV2(uint64_t microseconds, uint64_t* actual) {
    operator_timeout_ms = microseconds / 1000;
    if (actual != nullptr) {
        *actual = microseconds;
    }
    return 0;
}
aclError aclrtGetOpExecuteTimeout(uint32_t* const milliseconds) try {
    ACL_REQUIRE(milliseconds);
    *milliseconds = static_cast<uint32_t>(operator_timeout_ms.load());
    return 0;
}
ACL_CATCH

aclError aclrtGetOpTimeOutInterval(uint64_t* microseconds) try {
    ACL_REQUIRE(microseconds);
    *microseconds = 1;
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
