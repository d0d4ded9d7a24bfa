// Registers what this CANN has for the NPU, and reports what that is.
#pragma once

#include <torch/csrc/stable/library.h>

#include <string>
#include <vector>

#include "npu/call/function.h"
#include "npu/call/torch_npu.h"

namespace ascend_ops::aclnn {

/// An op of torch, the aclnn function behind it and the boxed kernel that calls it.
struct Kernel {
    const char* op;
    const Function& (*function)();
    void (*boxed)(StableIValue*, std::uint64_t, std::uint64_t);
};

/// An op whose function is missing is left out: torch then runs its reference implementation, and
/// ascend_ops.npu_op says so. Never throws, since it runs while the library is loaded.
inline void register_kernels(torch::stable::detail::StableLibrary& library,
                             const std::vector<Kernel>& kernels) {
    for (const Kernel& kernel : kernels) {
        if (kernel.function().version() >= 0) {
            library.impl(kernel.op, kernel.boxed);
        }
    }
}

/// A line "op=function=candidates" for each, with no function where all candidates are missing. The
/// line "problem=..." comes first where torch_npu cannot be used.
inline std::string implementations(const std::vector<Kernel>& kernels) {
    std::string text;
    const std::string problem = torch_npu_problem();
    if (!problem.empty()) {
        text = "problem=" + problem + "\n";
    }
    for (const Kernel& kernel : kernels) {
        const Function& function = kernel.function();
        text += std::string(kernel.op) + "=" + (function.version() >= 0 ? function.name() : "") +
                "=" + function.candidates() + "\n";
    }
    return text;
}

}  // namespace ascend_ops::aclnn

/// A function of the name `symbol` that returns the one Function for `...`, newest version first.
#define ACLNN_FUNCTION(symbol, ...)                                    \
    const ::ascend_ops::aclnn::Function& symbol() {                    \
        static const ::ascend_ops::aclnn::Function found{__VA_ARGS__}; \
        return found;                                                  \
    }

/// Registers `kernels`, a function that returns a vector of Kernel, as the NPU's part of
/// `ascend_ops`, and `ascend_ops_<family>::implementations() -> str`.
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
