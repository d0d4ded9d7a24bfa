// The arguments of an aclnn call as CANN's handles, each destroyed with its holder.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

struct aclTensor;
struct aclTensorList;
struct aclIntArray;
struct aclBoolArray;

namespace ascend_ops::aclnn {

using torch::stable::Tensor;

/// Handles of CANN. Throws std::runtime_error for a tensor that an aclnn function cannot take: of
/// another dtype than CANN has, or in one of its private formats.
aclTensor* make_tensor(const Tensor& tensor);
aclTensorList* make_tensor_list(const std::vector<Tensor>& tensors);
aclIntArray* make_int_array(const std::vector<std::int64_t>& values);
aclBoolArray* make_bool_array(const bool* values, std::size_t count);

void destroy(const aclTensor* handle);
void destroy(const aclTensorList* handle);
void destroy(const aclIntArray* handle);
void destroy(const aclBoolArray* handle);

/// Owns one handle, or none.
template <class Handle>
class Owned {
  public:
    explicit Owned(Handle* handle) : handle_(handle) {}
    Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    Owned& operator=(Owned&&) = delete;
    ~Owned() {
        if (handle_ != nullptr) {
            destroy(handle_);
        }
    }
    Handle* get() const { return handle_; }
    /// Somebody else owns it from here on.
    void release() { handle_ = nullptr; }

  private:
    Handle* handle_;
};

/// A number, passed as it is: its type has to be exactly the one of the function's declaration.
template <class T>
struct Plain {
    T value;
    T get() const { return value; }
};

/// A C string that lives as long as the call.
struct Text {
    std::string value;
    char* get() { return value.data(); }
};

inline Owned<aclTensor> argument(const Tensor& tensor) {
    return Owned<aclTensor>(make_tensor(tensor));
}
/// None is a null handle.
inline Owned<aclTensor> argument(const std::optional<Tensor>& tensor) {
    return Owned<aclTensor>(tensor.has_value() ? make_tensor(*tensor) : nullptr);
}
inline Owned<aclTensorList> argument(const std::vector<Tensor>& tensors) {
    return Owned<aclTensorList>(make_tensor_list(tensors));
}
inline Owned<aclIntArray> argument(const std::vector<std::int64_t>& values) {
    return Owned<aclIntArray>(make_int_array(values));
}
inline Owned<aclIntArray> argument(const std::optional<std::vector<std::int64_t>>& values) {
    return Owned<aclIntArray>(values.has_value() ? make_int_array(*values) : nullptr);
}
template <std::size_t count>
Owned<aclBoolArray> argument(const std::array<bool, count>& values) {
    return Owned<aclBoolArray>(make_bool_array(values.data(), count));
}
inline Text argument(const std::string& text) { return {text}; }
inline Text argument(const char* text) { return {text}; }
inline Plain<std::int64_t> argument(std::int64_t value) { return {value}; }
inline Plain<double> argument(double value) { return {value}; }
inline Plain<float> argument(float value) { return {value}; }
inline Plain<bool> argument(bool value) { return {value}; }

}  // namespace ascend_ops::aclnn
