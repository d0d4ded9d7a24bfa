// Registers the kernels that this CANN has with torch, and reports which they are.
#pragma once

#include <torch/csrc/stable/library.h>

#include <string>
#include <vector>

#include "npu/call/export.h"
#include "npu/call/function.h"

namespace ascend_ops::aclnn {

/// An op of torch, the aclnn function behind it and the boxed kernel that calls it.
struct Kernel {
    const char* op;
    const Function& (*function)();
    void (*boxed)(StableIValue*, std::uint64_t, std::uint64_t);
};

/// Register the kernels whose function is available; torch runs the reference implementation of
/// the others. Never throws, since it runs while the library is loaded.
inline void register_kernels(torch::stable::detail::StableLibrary& library,
                             const std::vector<Kernel>& kernels) {
    for (const Kernel& kernel : kernels) {
        if (kernel.function().version() >= 0) {
            library.impl(kernel.op, kernel.boxed);
        }
    }
}

/// Return a JSON object for ascend_ops/dispatch/npu_op.py:
///
///     {"problem": "",            why torch_npu cannot be used, "" if it can
///      "is_ascend950": false,
///      "kernels": [{"op": "rms_norm",
///                   "function": "aclnnRmsNorm",     "" if no candidate is available
///                   "candidates": ["aclnnRmsNorm"],
///                   "address": 140737488355328}]}   of the boxed kernel
ASCEND_OPS_EXPORT std::string implementations(const std::vector<Kernel>& kernels);

}  // namespace ascend_ops::aclnn

/// Define the function `symbol`, which returns the one Function for `...`, newest version first.
#define ACLNN_FUNCTION(symbol, ...)                                    \
    const ::ascend_ops::aclnn::Function& symbol() {                    \
        static const ::ascend_ops::aclnn::Function found{__VA_ARGS__}; \
        return found;                                                  \
    }

/// Register `kernels`, a function that returns a vector of Kernel, as the NPU's part of
/// `ascend_ops`, and defines `ascend_ops_<family>::implementations() -> str`.
#define ASCEND_OPS_FAMILY(family, kernels)                                               \
    static std::string family##_implementations() {                                      \
        return ::ascend_ops::aclnn::implementations(kernels());                          \
    }                                                                                    \
    STABLE_TORCH_LIBRARY_IMPL(ascend_ops, PrivateUse1, library) {                        \
        ::ascend_ops::aclnn::register_kernels(library, kernels());                       \
    }                                                                                    \
    STABLE_TORCH_LIBRARY(ascend_ops_##family, library) {                                 \
        library.def("implementations() -> str");                                         \
    }                                                                                    \
    STABLE_TORCH_LIBRARY_IMPL(ascend_ops_##family, CompositeExplicitAutograd, library) { \
        library.impl("implementations", TORCH_BOX(&family##_implementations));           \
    }
