// Checks of tensor arguments on torch's stable ABI, for the bindings of host ops.
//
// Each check throws std::runtime_error, Python's RuntimeError, with a text that names the argument,
// what was wanted and what was found. An op makes all its checks before it touches anything.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

namespace ascend_ops {

using torch::stable::Tensor;
using IntArrayRef = torch::headeronly::IntHeaderOnlyArrayRef;

/// A tensor and the name of its argument.
struct Argument {
    const char* name;
    const Tensor& tensor;
};

[[noreturn]] inline void fail(const std::string& message) { throw std::runtime_error(message); }

[[noreturn]] inline void fail(const Argument& argument, const std::string& wanted,
                              const std::string& found) {
    fail(std::string(argument.name) + ": expected " + wanted + ", found " + found);
}

/// "[2, 3]"
inline std::string to_text(IntArrayRef values) {
    std::string text = "[";
    for (std::size_t i = 0; i < values.size(); ++i) {
        text += (i == 0 ? "" : ", ") + std::to_string(values[i]);
    }
    return text + "]";
}

inline std::string device_text(torch::headeronly::DeviceType type) {
    using torch::headeronly::DeviceType;
    switch (type) {
        case DeviceType::CPU:
            return "cpu";
        case DeviceType::CUDA:
            return "cuda";
        case DeviceType::Meta:
            return "meta";
        case DeviceType::PrivateUse1:  // npu, where torch_npu is loaded
            return "the backend registered with torch (npu)";
        default:
            return "device type " + std::to_string(static_cast<int>(type));
    }
}

inline void check_dense_cpu(const Argument& argument) {
    if (!argument.tensor.is_cpu()) {
        fail(argument, "a tensor on the CPU",
             "one on " + device_text(argument.tensor.device().type()));
    }
    if (argument.tensor.layout() != torch::headeronly::Layout::Strided) {
        fail(argument, "a dense (strided) tensor", "a sparse or otherwise laid out one");
    }
}

inline void check_same_sizes(const Argument& argument, const Argument& reference) {
    const IntArrayRef found = argument.tensor.sizes();
    const IntArrayRef wanted = reference.tensor.sizes();
    if (found.size() != wanted.size() || !std::equal(found.begin(), found.end(), wanted.begin())) {
        fail(argument, std::string("the shape of ") + reference.name + ", " + to_text(wanted),
             to_text(found));
    }
}

/// A dimension of more than one element.
struct Dimension {
    std::int64_t stride;
    std::int64_t size;
};

/// The dimensions that say where elements are, innermost (smallest stride) first.
inline std::vector<Dimension> dimensions_by_stride(const Tensor& tensor) {
    const IntArrayRef sizes = tensor.sizes();
    const IntArrayRef strides = tensor.strides();
    std::vector<Dimension> dimensions;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] != 1) {
            dimensions.push_back({strides[i], sizes[i]});
        }
    }
    std::sort(dimensions.begin(), dimensions.end(), [](const Dimension& a, const Dimension& b) {
        return a.stride != b.stride ? a.stride < b.stride : a.size < b.size;
    });
    return dimensions;
}

/// Elements from the first to the last in memory, both included; 0 for an empty tensor.
inline std::int64_t extent(const Tensor& tensor) {
    if (tensor.numel() == 0) {
        return 0;
    }
    std::int64_t elements = 1;
    for (const Dimension& dimension : dimensions_by_stride(tensor)) {
        elements += (dimension.size - 1) * dimension.stride;
    }
    return elements;
}

/// Whether the elements fill one block of memory without holes, in whatever order.
inline bool is_dense(const Tensor& tensor) { return extent(tensor) == tensor.numel(); }

/// Refuses a tensor of which two elements share memory, as an expanded one has. Each dimension's
/// stride has to reach past all smaller dimensions; exotic as_strided views that interleave
/// without overlapping are refused too.
inline void check_no_self_overlap(const Argument& argument) {
    if (argument.tensor.numel() == 0) {
        return;
    }
    std::int64_t reach = 1;
    for (const Dimension& dimension : dimensions_by_stride(argument.tensor)) {
        if (dimension.stride < reach) {
            fail(argument, "elements that do not share memory",
                 "shape " + to_text(argument.tensor.sizes()) + " with strides " +
                     to_text(argument.tensor.strides()));
        }
        reach += (dimension.size - 1) * dimension.stride;
    }
}

/// Refuses tensors whose ranges of memory, from first element to last, overlap.
inline void check_disjoint(const Argument& a, const Argument& b) {
    const auto begin = [](const Argument& argument) {
        return reinterpret_cast<std::uintptr_t>(argument.tensor.data_ptr());
    };
    const auto bytes = [](const Argument& argument) {
        return static_cast<std::uintptr_t>(extent(argument.tensor)) *
               argument.tensor.element_size();
    };
    const std::uintptr_t bytes_a = bytes(a);
    const std::uintptr_t bytes_b = bytes(b);
    const std::uintptr_t begin_a = begin(a);
    const std::uintptr_t begin_b = begin(b);
    if (bytes_a != 0 && bytes_b != 0 && begin_a < begin_b + bytes_b &&
        begin_b < begin_a + bytes_a) {
        fail(b, std::string("memory that does not overlap that of ") + a.name,
             begin_a == begin_b ? "the same memory" : "overlapping memory");
    }
}

/// Whether all tensors are dense and lay their elements out in the same order, so that an
/// elementwise op may run over their memory from first to last.
inline bool share_dense_layout(std::initializer_list<const Tensor*> tensors) {
    const Tensor& first = **tensors.begin();
    const IntArrayRef sizes = first.sizes();
    const IntArrayRef strides = first.strides();
    if (!is_dense(first)) {
        return false;
    }
    for (const Tensor* tensor : tensors) {
        const IntArrayRef other = tensor->strides();
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            if (sizes[i] != 1 && strides[i] != other[i]) {
                return false;
            }
        }
    }
    return true;
}

}  // namespace ascend_ops
