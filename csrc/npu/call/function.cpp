#include "npu/call/function.h"

#include <dlfcn.h>

#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "npu/call/torch_npu.h"

namespace ascend_ops::aclnn {
namespace {

constexpr const char* kDisabled = "ASCEND_OPS_DISABLED_ACLNN";

/// Whether the comma-separated list in the environment has `name`.
bool is_disabled(std::string_view name) {
    const char* value = std::getenv(kDisabled);
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
            return "a null pointer where a value is needed";
        case 161002:
            return "an invalid argument";
        case 361001:
            return "a failure of the runtime";
        case 561002:
            return "a failure of tiling";
        case 561003:
            return "no kernel for these arguments";
        case 561107:
            return "ASCEND_OPP_PATH is not set, or wrong";
        case 561112:
            return "no kernel package for this SoC";
        default:
            return "a failure";
    }
}

}  // namespace

void* find_symbol(const char* name) {
    void* found = torch_npu().find_aclnn(name);
    // Python loads torch_npu, and the runtime with it, so that RTLD_DEFAULT does not see them.
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

Function::Function(std::initializer_list<const char*> names) {
    for (const char* candidate : names) {
        candidates_ += (candidates_.empty() ? "" : ",") + std::string(candidate);
    }
    for (const char* candidate : names) {
        ++version_;
        if (is_available(candidate)) {
            name_ = candidate;
            execute_ = find_symbol(candidate);
            workspace_size_ = find_symbol((name_ + "GetWorkspaceSize").c_str());
            return;
        }
    }
    version_ = -1;
    name_ = candidates_;
}

void Function::require() const {
    if (version_ < 0) {
        throw std::runtime_error("expected one of " + name_ +
                                 " in CANN's libopapi.so and in the custom op packages "
                                 "(ASCEND_CUSTOM_OPP_PATH), found none that is not ruled out by " +
                                 kDisabled + ": install a CANN that has it");
    }
}

void check_status(int status, const std::string& call) {
    if (status == 0) {
        return;
    }
    static const auto recent =
        reinterpret_cast<const char* (*)()>(find_symbol("aclGetRecentErrMsg"));
    const char* words = recent == nullptr ? nullptr : recent();
    throw std::runtime_error(
        call + " failed with status " + std::to_string(status) + ", " + meaning_of(status) +
        (words == nullptr || *words == '\0' ? std::string() : std::string(": ") + words));
}

}  // namespace ascend_ops::aclnn
