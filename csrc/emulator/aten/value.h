// ATen as the operator bodies see it: tensors, values, and calls by schema name.
//
// Only the other files of this folder include torch's headers, which cost 5 s per file; a file that
// includes this header instead compiles in less than 1 s. An operator is looked up once and called
// boxed.
#pragma once

#include <complex>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace ascend_emulator {

/// c10::ScalarType by value.
enum class DType : int {
    uint8 = 0,
    int8 = 1,
    int16 = 2,
    int32 = 3,
    int64 = 4,
    float16 = 5,
    float32 = 6,
    float64 = 7,
    complex32 = 8,
    complex64 = 9,
    complex128 = 10,
    boolean = 11,
    bfloat16 = 15,
    float8_e5m2 = 23,
    float8_e4m3fn = 24,
    uint16 = 27,
    uint32 = 28,
    uint64 = 29,
    int4 = 40,  // two elements per byte, the first one in the low bits
    float8_e8m0 = 44,
    float4_e2m1 = 45,  // packed like int4
    none = -1
};

using IntList = std::vector<std::int64_t>;
using DoubleList = std::vector<double>;
using BoolList = std::vector<bool>;

/// A reference to an at::Tensor on the CPU; null is an undefined tensor.
class Tensor {
  public:
    Tensor() = default;
    /// Take over one reference to an at::TensorImpl.
    explicit Tensor(void* impl) : impl_(impl) {}
    Tensor(const Tensor& other);
    Tensor(Tensor&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
    Tensor& operator=(Tensor other) noexcept {
        std::swap(impl_, other.impl_);
        return *this;
    }
    ~Tensor();

    bool defined() const { return impl_ != nullptr; }
    void* impl() const { return impl_; }
    std::int64_t dim() const;
    std::int64_t numel() const;
    std::int64_t size(std::int64_t dimension) const;
    IntList sizes() const;
    DType dtype() const;
    void* data() const;
    /// The value of a tensor of one element.
    double item() const;

    Tensor to(DType dtype) const;
    Tensor to_float() const { return to(DType::float32); }
    Tensor reshape(const IntList& sizes) const;
    Tensor permute(const IntList& dimensions) const;
    Tensor expand(const IntList& sizes) const;
    Tensor transpose(std::int64_t a, std::int64_t b) const;
    Tensor sum(const IntList& dimensions, bool keep = false) const;
    /// The first `length` elements of a dimension.
    Tensor narrow(std::int64_t dimension, std::int64_t length) const;
    Tensor contiguous() const;

  private:
    void* impl_ = nullptr;
};

using TensorList = std::vector<Tensor>;

struct Scalar {
    std::variant<bool, std::int64_t, double, std::complex<double>> value = std::int64_t{0};
    double to_double() const;
};
using ScalarList = std::vector<Scalar>;

/// Becomes a CPU generator. Its random numbers are not a device's.
struct Seed {
    std::uint64_t value;
    Seed(std::int64_t seed, std::int64_t offset);
};

/// An argument or result of an operator; std::monostate is None or the schema's default.
using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string, DType, Scalar,
                           Seed, Tensor, IntList, DoubleList, BoolList, TensorList, ScalarList>;

/// Convert a body's argument, without the conversion that would make an int of a double.
template <class T>
Value to_value(T&& value) {
    using Plain = std::decay_t<T>;
    if constexpr (std::is_same_v<Plain, bool>) {
        return Value(std::in_place_type<bool>, value);
    } else if constexpr (std::is_integral_v<Plain>) {
        return Value(std::in_place_type<std::int64_t>, value);
    } else if constexpr (std::is_floating_point_v<Plain>) {
        return Value(std::in_place_type<double>, value);
    } else if constexpr (std::is_convertible_v<T, const char*>) {
        return Value(std::in_place_type<std::string>, value);
    } else {
        return Value(std::forward<T>(value));
    }
}

/// Call "name" or "name.overload" of the namespace aten, with arguments by position. Trailing ones
/// may be left out if the schema has defaults. `schema` must be a literal: operators are cached by
/// its address.
TensorList call(const char* schema, std::vector<Value> arguments);

template <class... Arguments>
TensorList aten_all(const char* schema, Arguments&&... arguments) {
    std::vector<Value> values;
    values.reserve(sizeof...(arguments));
    (values.push_back(to_value(std::forward<Arguments>(arguments))), ...);
    return call(schema, std::move(values));
}

/// Call as aten_all does and return the first result.
template <class... Arguments>
Tensor aten(const char* schema, Arguments&&... arguments) {
    TensorList results = aten_all(schema, std::forward<Arguments>(arguments)...);
    return results.empty() ? Tensor() : std::move(results.front());
}

/// A tensor on memory that it does not own; strides in elements.
Tensor tensor_at(void* data, const IntList& sizes, const IntList& strides, DType dtype);
Tensor full(const IntList& sizes, const Scalar& value, DType dtype);
Tensor arange(std::int64_t end);

/// Whether two shapes are equal but for dimensions of size 1.
bool same_but_for_ones(const IntList& a, const IntList& b);

/// A device computes it, and the emulator does not.
struct NotEmulated : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// While a Rehearsal lives, the first step of this thread that would compute throws Computes. So
/// the checks at the beginning of a body run in phase 1, on tensors whose memory is not touched.
class Rehearsal {
  public:
    struct Computes {};
    Rehearsal();
    ~Rehearsal();
    Rehearsal(const Rehearsal&) = delete;
    Rehearsal& operator=(const Rehearsal&) = delete;
};

/// An output has another shape than what the operator computes.
struct WrongShape : std::runtime_error {
    static constexpr std::size_t unknown_parameter = static_cast<std::size_t>(-1);
    WrongShape(std::size_t its_parameter, const IntList& wanted, const IntList& got);
    std::size_t parameter;
};

/// Write `from` into `to`, converted to its dtype. Throws WrongShape if the shapes differ in more
/// than dimensions of size 1. Does nothing if `to` is null or empty.
void assign_output(std::size_t parameter, const Tensor& to, const Tensor& from);
/// The same for an output of unknown name.
void assign(const Tensor& to, const Tensor& from);

std::int64_t element_size(DType dtype);
/// Whether two elements share a byte.
constexpr bool is_packed(DType dtype) {
    return dtype == DType::int4 || dtype == DType::float4_e2m1;
}
const char* name_of(DType dtype);
/// Whether it is an integer or bool.
bool is_integral(DType dtype);

Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator+(const Tensor& a, double b);
Tensor operator-(const Tensor& a, double b);
Tensor operator*(const Tensor& a, double b);
Tensor operator/(const Tensor& a, double b);
Tensor operator-(const Tensor& a);

}  // namespace ascend_emulator
