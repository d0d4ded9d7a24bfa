// Checks of tensor arguments on torch's stable ABI, for the bindings of host ops.
//
// A check throws std::runtime_error, which Python sees as RuntimeError. Its text has one form:
// "<argument> must be <what>, got <value>", then what to do. An op runs all of its checks before
// it changes anything.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>

#include "cpu/dtype.h"
#include "cpu/dtype_name.h"

namespace ascend_ops {

using torch::stable::Tensor;
using IntArrayRef = torch::headeronly::IntHeaderOnlyArrayRef;

/// Throws "<argument> must <requirement>, got <value>". The requirement begins with a verb: "be",
/// "have" or "not".
[[noreturn]] inline void fail(const char* argument, const std::string& requirement,
                              const std::string& got) {
    throw std::runtime_error(argument + (" must " + requirement) + ", got " + got);
}

inline std::string to_text(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

/// Returns a text such as "[2, 3]".
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

/// A strided tensor in host memory, as a named argument.
///
/// Each attribute is read from torch once: every read is a call of torch's C interface, and for
/// many small tensors those calls take most of an op's time.
struct HostTensor {
    const char* name;
    void* data;
    torch::headeronly::ScalarType scalar_type;
    IntArrayRef sizes;  // sizes and strides point into the tensor, which must stay alive
    IntArrayRef strides;
    std::int64_t numel;
    std::int64_t extent;  // elements from the first in memory to the last, inclusive

    bool is_contiguous() const {
        std::int64_t expected = 1;
        for (std::size_t i = sizes.size(); i-- > 0;) {
            if (sizes[i] != 1 && strides[i] != expected) {
                return numel == 0;
            }
            expected *= sizes[i];
        }
        return true;
    }
};

inline void check_strided_cpu(const char* name, const Tensor& tensor) {
    if (!tensor.defined()) {
        fail(name, "be a tensor", "None");
    }
    if (!tensor.is_cpu()) {
        fail(name, "be on the CPU",
             "a tensor on " + to_text(tensor.device().type()) + ": move it with .to('cpu')");
    }
    std::int32_t layout = 0;  // Tensor::layout() is newer than torch 2.10
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_layout(tensor.get(), &layout));
    if (layout != aoti_torch_layout_strided()) {
        fail(name, "be dense", "a sparse tensor: convert it with .to_dense()");
    }
}

/// Returns the number of elements, and how many the first and the last in memory are apart,
/// inclusive.
inline std::pair<std::int64_t, std::int64_t> extent_of(const IntArrayRef& sizes,
                                                       const IntArrayRef& strides) {
    std::int64_t numel = 1;
    std::int64_t extent = 1;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        numel *= sizes[i];
        extent += (sizes[i] - 1) * strides[i];
    }
    return {numel, numel == 0 ? 0 : extent};
}

/// Returns the argument. Throws if the tensor is not on the CPU or not strided.
inline HostTensor host_tensor(const char* name, const Tensor& tensor) {
    check_strided_cpu(name, tensor);
    const IntArrayRef sizes = tensor.sizes();
    const IntArrayRef strides = tensor.strides();
    const auto [numel, extent] = extent_of(sizes, strides);
    return {name, tensor.data_ptr(), tensor.scalar_type(), sizes, strides, numel, extent};
}

inline std::string dtype_text(const HostTensor& tensor) { return dtype_name(tensor.scalar_type); }

inline DType dtype_of(const HostTensor& tensor) {
    using torch::headeronly::ScalarType;
    switch (tensor.scalar_type) {
        case ScalarType::Float:
            return DType::float32;
        case ScalarType::BFloat16:
            return DType::bfloat16;
        case ScalarType::Half:
            return DType::float16;
        default:
            fail(tensor.name, "have dtype float32, bfloat16 or float16",
                 dtype_text(tensor) + ": convert it with .to(torch.float32)");
    }
}

inline void check_same_sizes(const HostTensor& tensor, const HostTensor& reference) {
    const auto& sizes = tensor.sizes;
    if (!std::equal(sizes.begin(), sizes.end(), reference.sizes.begin(), reference.sizes.end())) {
        fail(tensor.name,
             std::string("have the shape of ") + reference.name + ", " + to_text(reference.sizes),
             to_text(sizes));
    }
}

/// Returns whether a dimension's stride reaches past the elements of all dimensions with smaller
/// strides.
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

/// Returns whether two elements share memory, as in an expanded tensor. Also true for as_strided
/// views with interleaved dimensions, because recognizing them is expensive.
inline bool overlaps_itself(const HostTensor& tensor) {
    if (tensor.numel == 0 || tensor.is_contiguous()) {
        return false;
    }
    for (std::size_t i = 0; i < tensor.sizes.size(); ++i) {
        if (tensor.sizes[i] != 1 && !reaches_past_smaller(tensor.sizes, tensor.strides, i)) {
            return true;
        }
    }
    return false;
}

inline void check_no_self_overlap(const HostTensor& tensor) {
    if (overlaps_itself(tensor)) {
        fail(tensor.name, "not have elements that share memory",
             "shape " + to_text(tensor.sizes) + " with strides " + to_text(tensor.strides) +
                 ": pass a .clone()");
    }
}

/// The addresses from a tensor's first byte to past its last.
struct MemoryRange {
    explicit MemoryRange(const HostTensor& tensor)
        : begin(reinterpret_cast<std::uintptr_t>(tensor.data)),
          end(begin + static_cast<std::size_t>(tensor.extent) * size_of(dtype_of(tensor))) {}
    MemoryRange() = default;

    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
};

/// Throws if two ranges of memory overlap, even if the elements do not, as for two columns of one
/// matrix.
inline void check_disjoint(const char* name, const MemoryRange& a, const char* other_name,
                           const MemoryRange& b) {
    if (a.begin < b.end && b.begin < a.end && a.begin != a.end && b.begin != b.end) {
        fail(name, std::string("not share memory with ") + other_name,
             a.begin == b.begin ? "the same memory: pass a .clone()"
                                : "overlapping memory: pass a .clone()");
    }
}

inline void check_disjoint(const HostTensor& tensor, const HostTensor& other) {
    check_disjoint(tensor.name, MemoryRange(tensor), other.name, MemoryRange(other));
}

/// Returns whether two tensors of the same sizes have their elements in the same order in memory,
/// without holes, so that an elementwise op may run over both from the first element to the last.
/// False for two equal tensors if they have holes.
inline bool same_dense_layout(const HostTensor& a, const HostTensor& b) {
    if (a.extent != a.numel) {
        return false;
    }
    for (std::size_t i = 0; i < a.sizes.size(); ++i) {
        if (a.sizes[i] != 1 && a.strides[i] != b.strides[i]) {
            return false;
        }
    }
    return true;
}

}  // namespace ascend_ops
