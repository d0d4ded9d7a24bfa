// Launching a kernel: what `kernel<<<blocks, l2_control, stream>>>(arguments)` is rewritten to.
#pragma once

#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ascendc/kernel_launch.h"

namespace aicore {

/// How the source was compiled.
struct CompiledFor {
    std::uint32_t arch;  // __NPU_ARCH__
    bool auto_sync;
    bool has_cube_pass;  // the code for cube cores is compiled apart
};
/// Of this source: each has its own (ascendc/compiled_for.h).
static CompiledFor compiled_for();

template <class Value>
Value on_host(Value value) {
    if constexpr (std::is_pointer_v<Value>) {
        return static_cast<Value>(
            bytes_of(const_cast<const void*>(static_cast<const volatile void*>(value))));
    } else {
        return value;
    }
}

template <class Kernel, class... Arguments>
class BoundKernel final : public KernelLaunch {
  public:
    BoundKernel(Kernel kernel, std::tuple<Arguments...> arguments)
        : kernel_(std::move(kernel)), arguments_(std::move(arguments)) {
        runner = &call;
        const CompiledFor how = compiled_for();
        arch = how.arch;
        auto_sync = how.auto_sync;
        has_cube_pass = how.has_cube_pass;
    }
    // The emulated bisheng finds it by its name: see passes.py.
    static void call(const KernelLaunch& launch) {
        const auto& self = static_cast<const BoundKernel&>(launch);
        std::apply([&](const Arguments&... values) { self.kernel_(on_host(values)...); },
                   self.arguments_);
    }

  private:
    Kernel kernel_;
    std::tuple<Arguments...> arguments_;
};

/// The left part of a launch; calling it with the kernel's arguments queues the kernel.
template <class Kernel>
class Launcher {
  public:
    Launcher(Kernel kernel, const char* name, KernelType type, std::uint32_t blocks, void* stream)
        : kernel_(std::move(kernel)), name_(name), type_(type), blocks_(blocks), stream_(stream) {}

    template <class... Arguments>
    void operator()(Arguments... arguments) const {
        auto launch = std::make_unique<BoundKernel<Kernel, Arguments...>>(
            kernel_, std::tuple<Arguments...>(std::move(arguments)...));
        launch->name = name_;
        launch->type = type_;
        launch->blocks = blocks_;
        submit(std::move(launch), stream_);
    }

  private:
    Kernel kernel_;
    const char* name_;
    KernelType type_;
    std::uint32_t blocks_;
    void* stream_;
};

template <class Kernel, class L2Control>
Launcher<Kernel> launcher(Kernel kernel, const char* name, KernelType type, std::uint32_t blocks,
                          L2Control /*l2_control*/, void* stream = nullptr) {
    return {std::move(kernel), name, type, blocks, stream};
}

}  // namespace aicore
