// An operator of ATen called with the arguments of an aclnn function, matched once.
#pragma once

#include <memory>

#include "emulator/aten/value.h"

namespace ascend_emulator {

/// Which of the given arguments goes to which argument of the schema. An argument that fits none
/// takes the schema's default; one that is left over is an error.
class SchemaCall {
  public:
    /// `arguments` have the types that run() will get; throws std::runtime_error.
    SchemaCall(const char* function, const char* schema, const std::vector<Value>& arguments);
    ~SchemaCall();
    SchemaCall(const SchemaCall&) = delete;
    SchemaCall& operator=(const SchemaCall&) = delete;

    TensorList run(const std::vector<Value>& arguments) const;

  private:
    struct Plan;
    std::unique_ptr<Plan> plan_;
};

}  // namespace ascend_emulator
