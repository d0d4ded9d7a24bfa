// The functions of libacl_rtc.so. They need no device, and AscendCL need not be initialised.
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "acl/acl_rt_compile.h"
#include "emulator/rtc/program.h"

namespace ascend_emulator {
namespace {

struct Programs {
    std::mutex mutex;
    std::map<const void*, std::shared_ptr<RtcProgram>> of_handle;
};

/// Never destroyed: threads outlive main.
Programs& rtc_programs() {
    static auto* const only = new Programs;
    return *only;
}

/// The program of a handle, or null.
std::shared_ptr<RtcProgram> find_program(const void* handle) {
    const std::lock_guard<std::mutex> lock(rtc_programs().mutex);
    const auto found = rtc_programs().of_handle.find(handle);
    return found == rtc_programs().of_handle.end() ? nullptr : found->second;
}

bool any_is_null(const char* const* texts, int count) {
    for (int index = 0; index < count; ++index) {
        if (texts[index] == nullptr) {
            return true;
        }
    }
    return false;
}

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

aclError aclrtcCreateProg(aclrtcProg* prog, const char* src, const char* name, int numHeaders,
                          const char** headers, const char** includeNames) try {
    if (prog == nullptr || src == nullptr || numHeaders < 0 ||
        (numHeaders != 0 && (headers == nullptr || includeNames == nullptr))) {
        return ACL_ERROR_RTC_INVALID_INPUT;
    }
    if (any_is_null(headers, numHeaders) || any_is_null(includeNames, numHeaders)) {
        return ACL_ERROR_RTC_INVALID_INPUT;
    }
    auto program = std::make_shared<RtcProgram>(src, name == nullptr ? "" : name);
    for (int index = 0; index < numHeaders; ++index) {
        program->add_header(includeNames[index], headers[index]);
    }
    *prog = program.get();
    const std::lock_guard<std::mutex> lock(rtc_programs().mutex);
    rtc_programs().of_handle[*prog] = std::move(program);
    return 0;
} catch (...) {
    return ACL_ERROR_RTC_PROG_CREATION_FAILURE;
}

aclError aclrtcDestroyProg(aclrtcProg* prog) {
    if (prog == nullptr) {
        return ACL_ERROR_RTC_INVALID_PROG;
    }
    const std::lock_guard<std::mutex> lock(rtc_programs().mutex);
    if (rtc_programs().of_handle.erase(*prog) == 0) {
        return ACL_ERROR_RTC_INVALID_PROG;
    }
    *prog = nullptr;
    return 0;
}

aclError aclrtcAddNameExpr(aclrtcProg prog, const char* nameExpression) {
    const auto program = find_program(prog);
    if (program == nullptr) {
        return ACL_ERROR_RTC_INVALID_PROG;
    }
    if (nameExpression == nullptr || *nameExpression == '\0') {
        return ACL_ERROR_RTC_NAME_EXPR_NOT_VALID;
    }
    if (program->state() != RtcProgram::State::created) {
        return ACL_ERROR_RTC_NO_NAME_EXPR_AFTER_COMPILATION;
    }
    program->add_name(nameExpression);
    return 0;
}

aclError aclrtcCompileProg(aclrtcProg prog, int numOptions, const char** options) try {
    const auto program = find_program(prog);
    if (program == nullptr) {
        return ACL_ERROR_RTC_INVALID_PROG;
    }
    if (numOptions < 0 || (numOptions != 0 && options == nullptr) ||
        any_is_null(options, numOptions)) {
        return ACL_ERROR_RTC_INVALID_OPTION;
    }
    return program->compile({options, options + numOptions});
} catch (...) {
    return ACL_ERROR_RTC_FAILURE;
}

aclError aclrtcGetLoweredName(aclrtcProg prog, const char* nameExpression,
                              const char** loweredName) {
    const auto program = find_program(prog);
    if (program == nullptr) {
        return ACL_ERROR_RTC_INVALID_PROG;
    }
    if (nameExpression == nullptr || loweredName == nullptr) {
        return ACL_ERROR_RTC_INVALID_INPUT;
    }
    if (program->state() != RtcProgram::State::compiled) {
        return ACL_ERROR_RTC_NO_LOWERED_NAMES_BEFORE_COMPILATION;
    }
    const std::string* const found = program->lowered(nameExpression);
    if (found == nullptr) {
        return ACL_ERROR_RTC_NAME_EXPR_NOT_VALID;
    }
    *loweredName = found->c_str();
    return 0;
}

aclError aclrtcGetBinDataSize(aclrtcProg prog, size_t* binDataSizeRet) {
    const auto program = find_program(prog);
    if (program == nullptr) {
        return ACL_ERROR_RTC_INVALID_PROG;
    }
    if (binDataSizeRet == nullptr || program->state() != RtcProgram::State::compiled) {
        return ACL_ERROR_RTC_INVALID_INPUT;
    }
    *binDataSizeRet = program->binary().size();
    return 0;
}

aclError aclrtcGetBinData(aclrtcProg prog, char* binData) {
    const auto program = find_program(prog);
    if (program == nullptr) {
        return ACL_ERROR_RTC_INVALID_PROG;
    }
    if (binData == nullptr || program->state() != RtcProgram::State::compiled) {
        return ACL_ERROR_RTC_INVALID_INPUT;
    }
    std::memcpy(binData, program->binary().data(), program->binary().size());
    return 0;
}

aclError aclrtcGetCompileLogSize(aclrtcProg prog, size_t* logSizeRet) {
    const auto program = find_program(prog);
    if (program == nullptr) {
        return ACL_ERROR_RTC_INVALID_PROG;
    }
    if (logSizeRet == nullptr) {
        return ACL_ERROR_RTC_INVALID_INPUT;
    }
    *logSizeRet = program->log().size() + 1;
    return 0;
}

aclError aclrtcGetCompileLog(aclrtcProg prog, char* log) {
    const auto program = find_program(prog);
    if (program == nullptr) {
        return ACL_ERROR_RTC_INVALID_PROG;
    }
    if (log == nullptr) {
        return ACL_ERROR_RTC_INVALID_INPUT;
    }
    std::memcpy(log, program->log().c_str(), program->log().size() + 1);
    return 0;
}
