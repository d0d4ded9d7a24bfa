#include "npu/call/function.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "npu/call/torch_npu.h"

namespace ascend_ops::aclnn {
namespace {

constexpr const char* disabled_variable = "ASCEND_OPS_DISABLED_ACLNN";

/// Return whether the comma-separated list in the environment contains `name`.
bool is_disabled(std::string_view name) {
    const char* value = std::getenv(disabled_variable);
    std::string_view rest = value == nullptr ? "" : value;
    while (!rest.empty()) {
        const std::size_t comma = rest.find(',');
        if (rest.substr(0, comma) == name) {
            return true;
        }
        rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
    }
    return false;
}

std::string meaning_of(int status) {
    switch (status) {
        case 161001:
            return "a null pointer for a required argument";
        case 161002:
            return "an invalid argument";
        case 361001:
            return "a failure of the runtime";
        case 561002:
            return "a failure of tiling";
        case 561003:
            return "no kernel for these arguments";
        case 561107:
            return "ASCEND_OPP_PATH is unset or wrong";
        case 561112:
            return "no kernel package for this SoC";
        default:
            return "a failure";
    }
}

}  // namespace

void* find_symbol(const char* name) {
    void* found = torch_npu().find_aclnn(name);
    // Python loads torch_npu and the runtime with RTLD_LOCAL, which hides them from RTLD_DEFAULT.
    static void* const runtime = dlopen("libascendcl.so", RTLD_LAZY | RTLD_NOLOAD);
    if (found == nullptr) {
        found = dlsym(RTLD_DEFAULT, name);
    }
    return found != nullptr || runtime == nullptr ? found : dlsym(runtime, name);
}

bool is_available(const char* name) {
    return torch_npu_problem().empty() && !is_disabled(name) && find_symbol(name) != nullptr &&
           find_symbol((std::string(name) + "GetWorkspaceSize").c_str()) != nullptr;
}

Function::Function(std::initializer_list<const char*> names)
    : candidates_(names.begin(), names.end()) {
    const auto available = std::find_if(names.begin(), names.end(),
                                        [](const char* name) { return is_available(name); });
    if (available == names.end()) {
        return;
    }
    name_ = *available;
    version_ = static_cast<int>(available - names.begin());
    execute_ = find_symbol(*available);
    workspace_size_ = find_symbol((name_ + "GetWorkspaceSize").c_str());
}

void Function::require() const {
    if (version_ >= 0) {
        return;
    }
    std::string names;
    for (const std::string& candidate : candidates_) {
        names += (names.empty() ? "" : " or ") + candidate;
    }
    throw std::runtime_error("this op requires " + names +
                             "; this CANN has none in libopapi.so or in the custom op packages of "
                             "ASCEND_CUSTOM_OPP_PATH that " +
                             disabled_variable + " does not disable: install a newer CANN");
}

void check_status(int status, const std::string& call) {
    if (status == 0) {
        return;
    }
    static const auto recent =
        reinterpret_cast<const char* (*)()>(find_symbol("aclGetRecentErrMsg"));
    const char* message = recent == nullptr ? nullptr : recent();
    throw std::runtime_error(
        call + " failed with status " + std::to_string(status) + ", " + meaning_of(status) +
        (message == nullptr || *message == '\0' ? std::string() : std::string(": ") + message));
}

}  // namespace ascend_ops::aclnn
