// The shapes of results that phase 1 finds out without computing them.
#pragma once

#include <optional>

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

/// The shape of all outputs of a row; none if the inputs do not fit each other, which the operator
/// reports when it runs.
using ShapeRule = std::optional<IntList> (*)(const Operation& operation,
                                             const Arguments& arguments);

/// The rule of a schema of ATen, or null if only running it gives the shape.
ShapeRule shape_rule_of(const std::string& schema);

/// Whether a schema that torch does not tag as pointwise is.
bool is_pointwise_without_tag(const std::string& schema);

/// The sizes of a tensor argument; null if it is something else, or null.
const IntList* sizes_of(const Captured& captured);

/// Broadcast `sizes` into `shape`; false if they do not fit.
bool broadcast(const IntList& sizes, IntList* shape);

}  // namespace ascend_emulator
