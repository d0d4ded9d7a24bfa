// Reads lists of tensors from Python, without a tensor object of C++ for each of them.
//
// For an op with lists of a thousand small tensors, the dispatcher takes several times as long as
// the arithmetic: it makes two objects per tensor and counts references. torch also exports a
// function that fills in a DLTensor, a description on the stack (DLPack 1.2,
// https://dmlc.github.io/dlpack/latest/c_api.html), from which all checks can be made as well.
//
// The structures are the specification's. Python's functions are looked up in the process, so that
// a library needs neither Python's headers nor an interpreter to be loaded.
#pragma once

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "cpu/torch_check.h"

namespace ascend_ops {

struct DLTensor {
    void* data;
    std::int32_t device_type;
    std::int32_t device_id;
    std::int32_t ndim;
    std::uint8_t type_code;
    std::uint8_t type_bits;
    std::uint16_t type_lanes;
    std::int64_t* shape;
    std::int64_t* strides;
    std::uint64_t byte_offset;
};

/// What of Python's stable C interface is needed. Objects are void*.
struct PythonInterface {
    using Item = void* (*)(void* list, std::ptrdiff_t index);
    using Size = std::ptrdiff_t (*)(void* list);
    using Clear = void (*)();
    using Save = void* (*)();
    using Restore = void (*)(void* state);
    using Raise = void (*)(void* type, const char* text);

    Item item = find<Item>("PyList_GetItem");
    Size size = find<Size>("PyList_Size");
    Clear clear_error = find<Clear>("PyErr_Clear");
    Save release_gil = find<Save>("PyEval_SaveThread");
    Restore take_gil = find<Restore>("PyEval_RestoreThread");
    Raise raise = find<Raise>("PyErr_SetString");
    void** runtime_error = find<void**>("PyExc_RuntimeError");

    static const PythonInterface& get() {
        static const PythonInterface found;
        return found;
    }

  private:
    template <class Symbol>
    static Symbol find(const char* name) {
        void* const found = dlsym(RTLD_DEFAULT, name);
        if (found == nullptr) {
            throw std::runtime_error(std::string("this process has no ") + name);
        }
        return reinterpret_cast<Symbol>(found);
    }
};

/// A call by ascend_ops/cpu_optimizers/python_step.py, which has the same structure.
struct PythonCall {
    int (*describe)(void* tensor, DLTensor* description);  // of torch's DLPack exchange table
    void* lists;                                           // a list of lists of tensors
    const double* numbers;
    std::int64_t number_count;
    std::int32_t check_only;
};

inline torch::headeronly::ScalarType scalar_type_of(const char* name, const DLTensor& tensor) {
    using torch::headeronly::ScalarType;
    constexpr std::uint8_t floating = 2, bfloat = 4;
    if (tensor.type_lanes == 1 && tensor.type_code == floating && tensor.type_bits == 32) {
        return ScalarType::Float;
    }
    if (tensor.type_lanes == 1 && tensor.type_code == floating && tensor.type_bits == 16) {
        return ScalarType::Half;
    }
    if (tensor.type_lanes == 1 && tensor.type_code == bfloat && tensor.type_bits == 16) {
        return ScalarType::BFloat16;
    }
    fail(name, "have dtype float32, bfloat16 or float16", "another one");
}

inline HostTensor host_tensor(const char* name, const DLTensor& tensor) {
    constexpr std::int32_t cpu = 1;
    if (tensor.device_type != cpu) {
        fail(name, "be on the CPU", "a tensor on another device");
    }
    const auto dimensions = static_cast<std::size_t>(tensor.ndim);
    const IntArrayRef sizes(tensor.shape, dimensions);
    const IntArrayRef strides(tensor.strides, dimensions);
    const auto [numel, extent] = extent_of(sizes, strides);
    void* const data = static_cast<char*>(tensor.data) + tensor.byte_offset;
    return {name, data, scalar_type_of(name, tensor), sizes, strides, numel, extent};
}

/// Hands out the arguments, as ArgumentReader does: lists and numbers each in their order. Its
/// errors are not for users: after one, the caller must try the dispatcher, whose errors are.
class PythonArguments {
  public:
    explicit PythonArguments(const PythonCall& call)
        : call_(call), python_(PythonInterface::get()) {}

    /// Returns the next number; nothing for an optional one.
    template <class T>
    T take() {
        if constexpr (std::is_same_v<T, std::optional<std::int64_t>>) {
            return std::nullopt;
        } else {
            if (next_number_ == call_.number_count) {
                throw std::logic_error("the call has fewer numbers than its kernel takes");
            }
            return static_cast<T>(call_.numbers[next_number_++]);
        }
    }

    /// Returns the next list. The tensors must stay alive, and so must the list.
    std::vector<HostTensor> take_tensors(const char* name) {
        void* const list = python_.item(call_.lists, next_list_++);
        const std::ptrdiff_t count = list == nullptr ? -1 : python_.size(list);
        std::vector<HostTensor> tensors;
        tensors.reserve(count < 0 ? 0 : static_cast<std::size_t>(count));
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            DLTensor tensor;
            if (call_.describe(python_.item(list, i), &tensor) != 0) {
                python_.clear_error();
                fail(name, "be a dense tensor", "something else");
            }
            tensors.push_back(host_tensor(name, tensor));
        }
        if (count < 0) {
            python_.clear_error();
            fail(name, "be a list", "something else");
        }
        return tensors;
    }

  private:
    const PythonCall& call_;
    const PythonInterface& python_;
    std::ptrdiff_t next_list_ = 0;
    std::int64_t next_number_ = 0;
};

/// Releases Python's lock while it exists.
class GilReleased {
  public:
    GilReleased() : python_(PythonInterface::get()), state_(python_.release_gil()) {}
    ~GilReleased() { python_.take_gil(state_); }
    GilReleased(const GilReleased&) = delete;
    GilReleased& operator=(const GilReleased&) = delete;

  private:
    const PythonInterface& python_;
    void* state_;
};

}  // namespace ascend_ops
