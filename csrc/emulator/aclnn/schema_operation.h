// Functions of CANN that are rows: operators of ATen, called by their schemas.
#pragma once

#include "emulator/aclnn/operation.h"
#include "emulator/aclnn/result_shape.h"
#include "emulator/aten/schema_call.h"

namespace ascend_emulator {

/// What is found out once about a row.
struct MatchedSchema {
    MatchedSchema(const Operation& operation, const std::vector<Value>& inputs);
    SchemaCall call;
    bool is_pointwise;  // the inputs broadcast to the shape of the result
    ShapeRule shape_rule;
};

const MatchedSchema& matched_schema(const Operation& operation, const Arguments& arguments);

/// Why ATen refuses the dtypes of a pointwise row that changes its first input in place, or "". It
/// runs the row on tensors without elements if an input's dtype does not fit into the first one's.
std::string why_dtypes_do_not_fit(const Operation& operation, const Arguments& arguments);

}  // namespace ascend_emulator
