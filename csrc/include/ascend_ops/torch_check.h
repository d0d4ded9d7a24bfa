// Checks of tensor arguments on torch's stable ABI, for the bindings of host ops.
//
// Each check throws std::runtime_error, Python's RuntimeError, with a text that names the argument,
// what was wanted and what was found. An op makes all its checks before it touches anything.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "ascend_ops/dtype.h"
#include "ascend_ops/dtype_name.h"

namespace ascend_ops {

using torch::stable::Tensor;
using IntArrayRef = torch::headeronly::IntHeaderOnlyArrayRef;

/// A tensor and the name of its argument.
struct TensorArgument {
    const char* name;
    const Tensor& tensor;  // somebody else's
};

[[noreturn]] inline void fail(const char* argument, const std::string& wanted,
                              const std::string& found) {
    throw std::runtime_error(argument + (": expected " + wanted) + ", found " + found);
}

inline std::string to_text(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

/// "[2, 3]"
inline std::string to_text(IntArrayRef values) {
    std::string text = "[";
    for (std::size_t i = 0; i < values.size(); ++i) {
        text += i == 0 ? "" : ", ";
        text += std::to_string(values[i]);
    }
    return text + "]";
}

inline std::string to_text(torch::headeronly::DeviceType type) {
    using torch::headeronly::DeviceType;
    switch (type) {
        case DeviceType::CUDA:
            return "cuda";
        case DeviceType::Meta:
            return "meta";
        case DeviceType::PrivateUse1:  // torch_npu registers the npu as this
            return "npu (or another PrivateUse1 backend)";
        default:
            return "device type " + std::to_string(static_cast<int>(type));
    }
}

/// A tensor whose elements are in this process's memory, at strides.
inline void check_strided_cpu(const TensorArgument& argument) {
    if (!argument.tensor.defined()) {
        fail(argument.name, "a tensor", "None");
    }
    if (!argument.tensor.is_cpu()) {
        fail(argument.name, "a tensor on the CPU",
             "one on " + to_text(argument.tensor.device().type()));
    }
    if (argument.tensor.layout() != torch::headeronly::Layout::Strided) {
        fail(argument.name, "a dense tensor", "a sparse one");
    }
}

inline std::string dtype_text(const TensorArgument& argument) {
    return dtype_name(argument.tensor.scalar_type());
}

inline DType dtype_of(const TensorArgument& argument) {
    using torch::headeronly::ScalarType;
    switch (argument.tensor.scalar_type()) {
        case ScalarType::Float:
            return DType::float32;
        case ScalarType::BFloat16:
            return DType::bfloat16;
        case ScalarType::Half:
            return DType::float16;
        default:
            fail(argument.name, "dtype float32, bfloat16 or float16", dtype_text(argument));
    }
}

inline bool same_sizes(const Tensor& a, const Tensor& b) {
    const IntArrayRef sizes_a = a.sizes();
    const IntArrayRef sizes_b = b.sizes();
    bool same = sizes_a.size() == sizes_b.size();
    for (std::size_t i = 0; same && i < sizes_a.size(); ++i) {
        same = sizes_a[i] == sizes_b[i];
    }
    return same;
}

inline void check_same_sizes(const TensorArgument& argument, const TensorArgument& reference) {
    if (!same_sizes(argument.tensor, reference.tensor)) {
        fail(argument.name,
             std::string("the shape of ") + reference.name + ", " +
                 to_text(reference.tensor.sizes()),
             to_text(argument.tensor.sizes()));
    }
}

/// Elements from the first to the last in memory, both included; 0 for an empty tensor.
inline std::int64_t extent(const Tensor& tensor) {
    if (tensor.numel() == 0 || tensor.is_contiguous()) {
        return tensor.numel();
    }
    const IntArrayRef sizes = tensor.sizes();
    const IntArrayRef strides = tensor.strides();
    std::int64_t elements = 1;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        elements += (sizes[i] - 1) * strides[i];
    }
    return elements;
}

/// Whether a dimension's stride reaches past the elements of all dimensions of smaller stride.
inline bool reaches_past_smaller(const IntArrayRef& sizes, const IntArrayRef& strides,
                                 std::size_t dimension) {
    std::int64_t reach = 1;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const bool smaller =
            strides[i] != strides[dimension] ? strides[i] < strides[dimension] : i < dimension;
        reach += smaller ? (sizes[i] - 1) * strides[i] : 0;
    }
    return strides[dimension] >= reach;
}

/// Whether two elements share memory, as in an expanded tensor; true also for exotic as_strided
/// views whose dimensions interleave, as telling those apart is costly.
inline bool overlaps_itself(const Tensor& tensor) {
    if (tensor.numel() == 0 || tensor.is_contiguous()) {
        return false;
    }
    const IntArrayRef sizes = tensor.sizes();
    const IntArrayRef strides = tensor.strides();
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] != 1 && !reaches_past_smaller(sizes, strides, i)) {
            return true;
        }
    }
    return false;
}

inline void check_no_self_overlap(const TensorArgument& argument) {
    if (overlaps_itself(argument.tensor)) {
        fail(argument.name, "elements that do not share memory",
             "shape " + to_text(argument.tensor.sizes()) + " with strides " +
                 to_text(argument.tensor.strides()));
    }
}

/// The bytes from a tensor's first element to its last; addresses.
struct MemoryRange {
    explicit MemoryRange(const Tensor& tensor)
        : begin(reinterpret_cast<std::uintptr_t>(tensor.data_ptr())),
          end(begin + static_cast<std::size_t>(extent(tensor)) * tensor.element_size()) {}
    std::uintptr_t begin;
    std::uintptr_t end;
};

/// Refuses ranges of memory that overlap; so also those of two columns of one matrix.
inline void check_disjoint(const char* name, const MemoryRange& a, const char* other_name,
                           const MemoryRange& b) {
    if (a.begin < b.end && b.begin < a.end && a.begin != a.end && b.begin != b.end) {
        fail(name, std::string("memory apart from that of ") + other_name,
             a.begin == b.begin ? "the same memory" : "overlapping memory");
    }
}

inline void check_disjoint(const TensorArgument& argument, const TensorArgument& other) {
    check_disjoint(argument.name, MemoryRange(argument.tensor), other.name,
                   MemoryRange(other.tensor));
}

/// Whether two tensors of the same sizes have their elements in the same order in memory, without
/// holes: then an elementwise op may run over both from first to last. Reflexive only if dense.
inline bool same_dense_layout(const Tensor& a, const Tensor& b) {
    if (extent(a) != a.numel()) {
        return false;
    }
    const IntArrayRef sizes = a.sizes();
    const IntArrayRef strides_a = a.strides();
    const IntArrayRef strides_b = b.strides();
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] != 1 && strides_a[i] != strides_b[i]) {
            return false;
        }
    }
    return true;
}

}  // namespace ascend_ops
