// A call of an ATen operator with the arguments of an aclnn function, which are matched once.
#pragma once

#include <memory>

#include "emulator/aten/value.h"

namespace ascend_emulator {

/// Which of the given arguments goes to which argument of the schema. An argument of the schema
/// that none of them fits takes its default; a given argument that is left over is an error.
class SchemaCall {
  public:
    /// Match `arguments`, which have the types that run() is called with. Throws std::runtime_error
    /// if they do not fit the schema.
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
