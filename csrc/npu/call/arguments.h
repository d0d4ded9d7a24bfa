// The arguments of an aclnn call as CANN's handles.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "npu/call/export.h"

struct aclScalar;
struct aclTensor;
struct aclTensorList;
struct aclIntArray;
struct aclBoolArray;

namespace ascend_ops::aclnn {

using torch::stable::Tensor;

/// A number that an aclnn function takes as aclScalar, such as `alpha` of aclnnAdd. A number that
/// it takes by value, such as `epsilon` of aclnnRmsNorm, is passed as it is.
class Scalar {
  public:
    explicit Scalar(double value) : dtype_(torch::headeronly::ScalarType::Double) {
        value_.real = value;
    }
    explicit Scalar(float value) : dtype_(torch::headeronly::ScalarType::Float) {
        value_.single = value;
    }
    explicit Scalar(std::int64_t value) : dtype_(torch::headeronly::ScalarType::Long) {
        value_.integer = value;
    }
    explicit Scalar(bool value) : dtype_(torch::headeronly::ScalarType::Bool) {
        value_.boolean = value;
    }

    const void* data() const { return &value_; }
    torch::headeronly::ScalarType dtype() const { return dtype_; }

  private:
    union {
        double real;
        float single;
        std::int64_t integer;
        bool boolean;
    } value_;
    torch::headeronly::ScalarType dtype_;
};

/// The handles of one call, destroyed together. `hold` converts an argument to the type that the C
/// function declares. The type must match exactly, which is why there is no overload for int.
/// Throws std::runtime_error for a tensor that an aclnn function cannot take: one of a dtype that
/// CANN lacks, or in one of its private formats.
class Handles {
  public:
    explicit Handles(std::size_t count) { held_.reserve(count); }
    Handles(const Handles&) = delete;
    Handles& operator=(const Handles&) = delete;
    ASCEND_OPS_EXPORT ~Handles();

    ASCEND_OPS_EXPORT aclTensor* hold(const Tensor& tensor);
    ASCEND_OPS_EXPORT aclTensorList* hold(const std::vector<Tensor>& tensors);
    ASCEND_OPS_EXPORT aclScalar* hold(const Scalar& value);
    ASCEND_OPS_EXPORT aclIntArray* hold(const std::vector<std::int64_t>& values);
    template <std::size_t count>
    aclBoolArray* hold(const std::array<bool, count>& values) {
        return hold_booleans(values.data(), count);
    }
    /// Convert an empty optional to a null handle.
    template <class T>
    auto hold(const std::optional<T>& value) {
        return value.has_value() ? this->hold(*value) : nullptr;
    }
    /// Pass the characters themselves, since phase 1 copies them.
    static char* hold(const char* text) { return const_cast<char*>(text); }
    static char* hold(const std::string& text) { return hold(text.c_str()); }
    static std::int64_t hold(std::int64_t value) { return value; }
    static double hold(double value) { return value; }
    static float hold(float value) { return value; }
    static bool hold(bool value) { return value; }

  private:
    using Destroy = int (*)(const void*);

    ASCEND_OPS_EXPORT aclBoolArray* hold_booleans(const bool* values, std::size_t count);
    template <class Handle>
    Handle* keep(Handle* made, const char* maker, Destroy destroy);

    struct Held {
        const void* handle;
        Destroy destroy;
    };
    std::vector<Held> held_;
};

}  // namespace ascend_ops::aclnn
