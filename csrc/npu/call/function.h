// An aclnn function of the loaded CANN, looked up by name.
//
// Nothing here links against CANN or torch_npu: an op is compiled once and runs with every CANN
// that has the function.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "npu/call/export.h"

namespace ascend_ops::aclnn {

/// Return the address of a symbol, or null. Searches the custom op packages, then CANN's own
/// libraries, as torch_npu does.
ASCEND_OPS_EXPORT void* find_symbol(const char* name);

/// Return whether CANN has both phases of `name` and ASCEND_OPS_DISABLED_ACLNN does not disable
/// it.
bool is_available(const char* name);

/// The two phases of one aclnn function.
class Function {
  public:
    /// Look up the first available one of `names`, which list the newest version first.
    ASCEND_OPS_EXPORT Function(std::initializer_list<const char*> names);

    /// The name of the available version, or "" if none is available.
    const std::string& name() const { return name_; }
    /// All names that were looked up, newest first.
    const std::vector<std::string>& candidates() const { return candidates_; }
    /// The index of `name()` in `candidates()`, or -1 if none is available.
    int version() const { return version_; }
    /// Throw std::runtime_error with the names that were looked up if none is available.
    ASCEND_OPS_EXPORT void require() const;

    void* workspace_size() const { return workspace_size_; }
    void* execute() const { return execute_; }

  private:
    std::string name_;
    std::vector<std::string> candidates_;
    int version_ = -1;
    void* workspace_size_ = nullptr;
    void* execute_ = nullptr;
};

/// Throw std::runtime_error with CANN's message for a status other than 0.
ASCEND_OPS_EXPORT void check_status(int status, const std::string& call);

}  // namespace ascend_ops::aclnn
