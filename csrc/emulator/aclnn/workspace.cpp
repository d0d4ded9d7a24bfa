#include "emulator/aclnn/workspace.h"

#include <string_view>

namespace ascend_emulator {

std::uint64_t workspace_of(const char* function) {
    constexpr std::uint64_t bytes = 1024;
    constexpr std::string_view with_workspace[] = {"aclnnFlashAttention", "aclnnConvolution",
                                                   "aclnnMatmul", "aclnnSort", "aclnnTopk"};
    const std::string_view name = function;
    for (const std::string_view prefix : with_workspace) {
        if (name.substr(0, prefix.size()) == prefix) {
            return bytes;
        }
    }
    return 0;
}

}  // namespace ascend_emulator
