// A call of an ATen operator with the arguments of an aclnn function, which are matched once.
#pragma once

#include <memory>
#include <string>

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

    /// Whether each element of the result depends on those of the inputs that broadcast to it.
    bool is_pointwise() const { return is_pointwise_; }

  private:
    struct Plan;
    std::unique_ptr<Plan> plan_;
    bool is_pointwise_;
};

/// The name of an argument of an ATen schema, or "" if it has fewer.
std::string argument_name(const char* schema, std::size_t index);
bool argument_is_optional(const char* schema, std::size_t index);

}  // namespace ascend_emulator
