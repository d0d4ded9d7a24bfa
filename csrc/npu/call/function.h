// An aclnn function of the CANN that is loaded, looked up by name.
//
// Nothing here links CANN or torch_npu: an op is compiled once and runs with every CANN that has
// the function, and says so where one lacks it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "npu/call/export.h"

namespace ascend_ops::aclnn {

/// The address of a symbol, or null. Custom op packages come before CANN's own libraries, in the
/// order that torch_npu uses.
ASCEND_OPS_EXPORT void* find_symbol(const char* name);

/// Whether the two phases of `name` are there and not ruled out by ASCEND_OPS_DISABLED_ACLNN.
bool is_available(const char* name);

/// The two phases of one function.
class Function {
  public:
    /// The first of `names` that is available: the newest version first.
    ASCEND_OPS_EXPORT Function(std::initializer_list<const char*> names);

    const std::string& name() const { return name_; }
    /// All names that were looked for, newest first, separated by commas.
    const std::string& candidates() const { return candidates_; }
    /// Which of the constructor's names it is, from 0; -1 where none is available.
    int version() const { return version_; }
    /// Throws std::runtime_error with every name that was looked for.
    ASCEND_OPS_EXPORT void require() const;

    void* workspace_size() const { return workspace_size_; }
    void* execute() const { return execute_; }

  private:
    std::string name_;  // of all candidates, where none is available
    std::string candidates_;
    int version_ = -1;
    void* workspace_size_ = nullptr;
    void* execute_ = nullptr;
};

/// Throws std::runtime_error for a status other than 0, with CANN's own words.
ASCEND_OPS_EXPORT void check_status(int status, const std::string& call);

}  // namespace ascend_ops::aclnn
