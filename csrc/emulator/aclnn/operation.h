// How an aclnn function is written.
//
// If ATen has the operator, the function is a row:
//
//     ATEN(aclnnMul, "mul.Tensor", Tensor, Tensor, Out)
//
// The row names the function, ATen's schema and the function's parameters in order. Inputs go to
// the schema's arguments by position and type (see SchemaCall); results go to the outputs in order.
// An InOut is both the first input and the output.
//
// If the two compute different things, the function is a body:
//
//     ACLNN(aclnnSwiGlu, Tensor x, std::int64_t dim, Out out) { out = ...; }
//
// A body with ATen's parameters and shapes, of which only values differ, is
//
//     ACLNN_LIKE(aclnnInplaceDiv, "div_.Tensor", InOut self, Tensor other) { self = ...; }
//
// All export the two phases of the function, `<name>GetWorkspaceSize` and `<name>`. The body runs
// on the stream's worker, on CPU tensors that alias the device's memory.
//
// Phase 1 refuses null for each tensor, list and output, except for parameters of the types
// Optional... A parameter that changes the result and is not emulated is REFUSED(T, name): phase 1
// refuses every value but its default. `Unused<T>` is for what cannot change the result.
#pragma once

#include <array>
#include <atomic>
#include <cstring>

#include "emulator/aclnn/parameter_types.h"
#include "emulator/aclnn/passed.h"
#include "emulator/interface/guard.h"

struct aclOpExecutor;

namespace ascend_emulator {

enum class ParameterKind { input, output, in_out, dims, optional, unused };

/// An argument as phase 1 stores it. A DynamicOut stores the handle.
using Captured = std::variant<std::monostate, bool, std::int64_t, double, std::string, DType,
                              Scalar, TensorDescriptionPtr, IntList, DoubleList, BoolList,
                              std::vector<TensorDescriptionPtr>, ScalarList, aclTensor*>;

class Arguments;
struct MatchedSchema;

/// Why an argument cannot be used.
struct Problem {
    static constexpr std::size_t no_parameter = static_cast<std::size_t>(-1);
    std::size_t index = 0;
    int code = 0;
    std::string text;  // follows the argument's name, if the problem concerns one
};

/// Stores an argument by value.
using AddArgument = void (*)(Arguments& arguments, Passed passed);

/// How a header declares a parameter.
struct ParameterDeclaration {
    const char* c_type;
    bool is_refused;
};

struct Operation {
    const char* name;
    const char* phase1_name;
    const char* schema;      // of ATen, whose checks phase 1 makes; null if a body has none
    const char* parameters;  // the body's, as in its source; null for a row
    void (*run)(const Operation& operation, const Arguments& arguments);
    const ParameterKind* kinds;
    const bool* required;
    const AddArgument* add_argument;
    const ParameterDeclaration* declarations;
    std::size_t count;
    bool is_checked;  // the body begins with checks of its arguments, which phase 1 runs
    /// The schema matched with the parameters; null before the first call.
    mutable std::atomic<const MatchedSchema*> matched{nullptr};
};

class Arguments {
  public:
    Arguments() = default;

    // Phase 1: store, by value, what the caller passed.
    void add(const aclTensor* tensor);
    void add(const aclScalar* scalar);
    void add(const aclIntArray* array);
    void add(const aclFloatArray* array);
    void add(const aclBoolArray* array);
    void add(const aclTensorList* list);
    void add(const aclScalarList* list);
    void add(const char* text);
    void add(aclDataType type);
    void add(bool value);
    void add(double value);
    void add(std::int64_t value);
    void add_dynamic(aclTensor* tensor);
    /// Refuse the parameter that was added last, unless it has its default value.
    void refuse_unless(std::int64_t by_default);

    /// The first problem of an argument; its text is empty if all are accepted.
    const Problem& problem() const { return problem_; }
    const std::vector<Captured>& values() const { return values_; }

    // Phase 2: the argument in the type that the body declares.
    template <class T>
    T get(std::size_t index) const;

    void reserve(std::size_t count) { values_.reserve(count); }

  private:
    template <class T>
    bool is_usable(const T* handle);
    TensorDescriptionPtr description_of(const aclTensor* tensor);
    template <class Array>
    void add_array(const Array* array);
    void note(std::size_t index, const std::string& text);

    std::vector<Captured> values_;
    Problem problem_;
};

/// The name of a parameter, for messages.
std::string parameter_name(const Operation& operation, std::size_t index);

/// Whether phase 1 accepts null for a parameter.
bool may_be_null(const Operation& operation, std::size_t index);

/// Whether an argument is null.
bool is_null(const Captured& captured);

/// The value of an argument for SchemaCall.
Value input_value(const Captured& captured, ParameterKind kind);
Tensor tensor_value(const Captured& captured);

/// Phase 1 and phase 2. They throw nothing.
int prepare(const Operation& operation, const Passed* passed, std::uint64_t* workspace_bytes,
            aclOpExecutor** executor);
int launch(const Operation& operation, void* workspace, std::uint64_t workspace_bytes,
           aclOpExecutor* executor, void* stream);
void run_schema(const Operation& operation, const Arguments& arguments);

/// A C type as it is written in C.
template <class C>
constexpr const char* c_type_name() {
    if constexpr (std::is_pointer_v<C>) {
        using To = std::remove_cv_t<std::remove_pointer_t<C>>;
        return std::is_same_v<To, aclTensor>       ? "const aclTensor*"
               : std::is_same_v<To, aclTensorList> ? "const aclTensorList*"
               : std::is_same_v<To, aclScalar>     ? "const aclScalar*"
               : std::is_same_v<To, aclScalarList> ? "const aclScalarList*"
               : std::is_same_v<To, aclIntArray>   ? "const aclIntArray*"
               : std::is_same_v<To, aclFloatArray> ? "const aclFloatArray*"
               : std::is_same_v<To, aclBoolArray>  ? "const aclBoolArray*"
                                                   : "const char*";
    } else {
        return std::is_same_v<C, bool>            ? "bool"
               : std::is_same_v<C, aclDataType>   ? "aclDataType"
               : std::is_same_v<C, double>        ? "double"
               : std::is_same_v<C, float>         ? "float"
               : std::is_same_v<C, std::int8_t>   ? "int8_t"
               : std::is_same_v<C, std::int32_t>  ? "int32_t"
               : std::is_same_v<C, std::uint32_t> ? "uint32_t"
               : std::is_same_v<C, std::uint64_t> ? "uint64_t"
                                                  : "int64_t";
    }
}

/// The C type of a parameter, its kind, and how it is stored.
template <class T>
struct Parameter {  // numbers
    using C = T;
    static constexpr bool is_required = false;
    static constexpr ParameterKind kind = ParameterKind::input;
    static void add(Arguments& arguments, C value) {
        if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, aclDataType>) {
            arguments.add(value);
        } else if constexpr (std::is_floating_point_v<T>) {
            arguments.add(static_cast<double>(value));
        } else {
            arguments.add(static_cast<std::int64_t>(value));
        }
    }
};

template <class CType, ParameterKind its_kind, bool required = false>
struct PointerParameter {
    using C = CType;
    static constexpr bool is_required = required;
    static constexpr ParameterKind kind = its_kind;
    static void add(Arguments& arguments, C value) { arguments.add(value); }
};

template <>
struct Parameter<Tensor> : PointerParameter<const aclTensor*, ParameterKind::input, true> {};
template <>
struct Parameter<Out> : PointerParameter<const aclTensor*, ParameterKind::output, true> {};
template <>
struct Parameter<InOut> : PointerParameter<const aclTensor*, ParameterKind::in_out, true> {};
template <>
struct Parameter<Outs> : PointerParameter<const aclTensorList*, ParameterKind::output, true> {};
template <>
struct Parameter<InOuts> : PointerParameter<const aclTensorList*, ParameterKind::in_out, true> {};
template <>
struct Parameter<Scalar> : PointerParameter<const aclScalar*, ParameterKind::input, true> {};
template <>
struct Parameter<OptionalScalar> : PointerParameter<const aclScalar*, ParameterKind::optional> {};
template <>
struct Parameter<IntList> : PointerParameter<const aclIntArray*, ParameterKind::input> {};
template <>
struct Parameter<Dims> : PointerParameter<const aclIntArray*, ParameterKind::dims> {};
template <>
struct Parameter<OptionalInts> : PointerParameter<const aclIntArray*, ParameterKind::optional> {};
template <>
struct Parameter<DoubleList> : PointerParameter<const aclFloatArray*, ParameterKind::input> {};
template <>
struct Parameter<BoolList> : PointerParameter<const aclBoolArray*, ParameterKind::input> {};
template <>
struct Parameter<TensorList> : PointerParameter<const aclTensorList*, ParameterKind::input, true> {
};
template <>
struct Parameter<ScalarList> : PointerParameter<const aclScalarList*, ParameterKind::input, true> {
};
template <>
struct Parameter<std::string> : PointerParameter<const char*, ParameterKind::input> {};
template <>
struct Parameter<DType> : PointerParameter<aclDataType, ParameterKind::input> {};
template <>
struct Parameter<DynamicOut> {
    using C = aclTensor*;
    static constexpr bool is_required = true;
    static constexpr ParameterKind kind = ParameterKind::output;
    static void add(Arguments& arguments, C value) { arguments.add_dynamic(value); }
};
template <class T>
struct Parameter<Optional<T>> : Parameter<T> {
    static constexpr bool is_required = false;
};
template <class T, std::int64_t by_default>
struct Parameter<Refused<T, by_default>> {
    using C = typename Parameter<T>::C;
    static constexpr bool is_required = false;
    static constexpr ParameterKind kind = ParameterKind::unused;
    static void add(Arguments& arguments, C value) {
        Parameter<T>::add(arguments, value);
        arguments.refuse_unless(by_default);
    }
};
template <class T>
struct Parameter<Unused<T>> {
    using C = typename Parameter<T>::C;
    static constexpr bool is_required = false;
    static constexpr ParameterKind kind = ParameterKind::unused;
    static void add(Arguments& arguments, C value) { Parameter<T>::add(arguments, value); }
};

template <class T>
void add_passed(Arguments& arguments, Passed passed) {
    Parameter<T>::add(arguments, passed.as<typename Parameter<T>::C>());
}

template <class... Types>
struct Signature {
    static constexpr std::size_t count = sizeof...(Types);
    static constexpr ParameterKind kinds[] = {Parameter<Types>::kind...};
    static constexpr bool required[] = {Parameter<Types>::is_required...};
    static constexpr AddArgument add_argument[] = {add_passed<Types>...};
    static constexpr ParameterDeclaration declarations[] = {
        {c_type_name<typename Parameter<Types>::C>(), is_refused<Types>}...};

    template <const Operation& operation>
    static int phase1(typename Parameter<Types>::C... values, std::uint64_t* workspace_bytes,
                      aclOpExecutor** executor) {
        const std::array<Passed, count> passed = {Passed::from(values)...};
        return prepare(operation, passed.data(), workspace_bytes, executor);
    }

    template <class T>
    static T value(const Arguments& arguments, std::size_t index) {
        if constexpr (is_unused<T>) {
            return {};
        } else if constexpr (is_optional<T>) {
            return T{arguments.get<typename T::Given>(index)};
        } else {
            return arguments.get<T>(index);
        }
    }
    template <void (*body)(Types...), std::size_t... index>
    static void apply(const Arguments& arguments, std::index_sequence<index...>) {
        body(value<Types>(arguments, index)...);
    }
    template <void (*body)(Types...)>
    static void run(const Operation&, const Arguments& arguments) {
        apply<body>(arguments, std::index_sequence_for<Types...>());
    }
};

template <class... Types>
Signature<Types...> signature_of(void (*body)(Types...));

using AnyFunction = void (*)();

}  // namespace ascend_emulator

// The exported phase 1 is a GNU indirect function: it resolves to the template's instance, which
// has the C signature, so that no list of parameter names is needed here. The operation is also
// listed in a section of the library, from which declarations.cpp describes all of them.
#define ACLNN_EXPORT(NAME, SIGNATURE)                                                              \
    namespace {                                                                                    \
    __attribute__((used, section("aclnn_operations")))                                             \
    const ascend_emulator::Operation* const NAME##_listed = &NAME##_operation;                     \
    }                                                                                              \
    extern "C" {                                                                                   \
    static ascend_emulator::AnyFunction NAME##_resolve() {                                         \
        return reinterpret_cast<ascend_emulator::AnyFunction>(                                     \
            &SIGNATURE::phase1<NAME##_operation>);                                                 \
    }                                                                                              \
    __attribute__((visibility("default"), ifunc(#NAME "_resolve"))) void NAME##GetWorkspaceSize(); \
    EMULATOR_EXPORT int NAME(void* workspace, std::uint64_t bytes, aclOpExecutor* executor,        \
                             void* stream) {                                                       \
        return ascend_emulator::launch(NAME##_operation, workspace, bytes, executor, stream);      \
    }                                                                                              \
    }

#define ATEN(NAME, SCHEMA, ...)                                                          \
    namespace {                                                                          \
    using NAME##_signature = ascend_emulator::Signature<__VA_ARGS__>;                    \
    const ascend_emulator::Operation NAME##_operation = {#NAME,                          \
                                                         #NAME "GetWorkspaceSize",       \
                                                         SCHEMA,                         \
                                                         nullptr,                        \
                                                         ascend_emulator::run_schema,    \
                                                         NAME##_signature::kinds,        \
                                                         NAME##_signature::required,     \
                                                         NAME##_signature::add_argument, \
                                                         NAME##_signature::declarations, \
                                                         NAME##_signature::count,        \
                                                         false};                         \
    }                                                                                    \
    ACLNN_EXPORT(NAME, NAME##_signature)

// The text of a list of parameters, with the macros in it expanded.
#define ACLNN_TEXT(...) #__VA_ARGS__

#define REFUSED(TYPE, NAME) [[maybe_unused]] ascend_emulator::Refused<TYPE> NAME
#define REFUSED_UNLESS(DEFAULT, TYPE, NAME) \
    [[maybe_unused]] ascend_emulator::Refused<TYPE, DEFAULT> NAME

#define ACLNN(NAME, ...) ACLNN_BODY(NAME, nullptr, false, __VA_ARGS__)

// A body that begins with checks of its arguments. Phase 1 runs it up to the first step that
// computes, and refuses what is not emulated.
#define ACLNN_CHECKED(NAME, ...) ACLNN_BODY(NAME, nullptr, true, __VA_ARGS__)

// A body whose parameters and whose result's shape are those of an operator of ATen. Phase 1 checks
// them as it checks a row's.
#define ACLNN_LIKE(NAME, SCHEMA, ...) ACLNN_BODY(NAME, SCHEMA, false, __VA_ARGS__)

#define ACLNN_BODY(NAME, SCHEMA, CHECKED, ...)                                                \
    static void NAME##_body(__VA_ARGS__);                                                     \
    namespace {                                                                               \
    using NAME##_signature = decltype(ascend_emulator::signature_of(&NAME##_body));           \
    const ascend_emulator::Operation NAME##_operation = {#NAME,                               \
                                                         #NAME "GetWorkspaceSize",            \
                                                         SCHEMA,                              \
                                                         ACLNN_TEXT(__VA_ARGS__),             \
                                                         NAME##_signature::run<&NAME##_body>, \
                                                         NAME##_signature::kinds,             \
                                                         NAME##_signature::required,          \
                                                         NAME##_signature::add_argument,      \
                                                         NAME##_signature::declarations,      \
                                                         NAME##_signature::count,             \
                                                         CHECKED};                            \
    }                                                                                         \
    ACLNN_EXPORT(NAME, NAME##_signature)                                                      \
    static void NAME##_body(__VA_ARGS__)
