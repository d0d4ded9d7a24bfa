// What the functions aclrtlaunch_<kernel> of ascendc_library call.
#pragma once

#include <cstdint>
#include <memory>
#include <tuple>
#include <type_traits>

#include "ascendc/launch.h"

namespace aicore {

/// What PlatformAscendC::GetLibApiWorkSpaceSize returns.
constexpr std::uint64_t system_workspace_bytes = 16U << 20;

/// The part of a workspace that belongs to the kernel.
inline void* behind_system_workspace(void* workspace) {
    return static_cast<std::uint8_t*>(workspace) + system_workspace_bytes;
}

template <class Parameter, class Argument>
Parameter as_parameter(Argument argument) {
    if constexpr (std::is_pointer_v<Parameter>) {
        return static_cast<Parameter>(argument);  // from void*
    } else {
        return argument;
    }
}

/// Launch the kernel. Returns 0 or a code, as aclrtLaunchKernel does.
///
/// `call` calls the kernel `parameters`, which only tells the types.
template <class Call, class... Parameters, class... Arguments>
std::uint32_t launch_function(Call call, void (* /*parameters*/)(Parameters...), const char* name,
                              KernelType type, std::uint32_t blocks, void* stream,
                              Arguments... arguments) {
    using Values = std::tuple<std::decay_t<Parameters>...>;
    auto launch = std::make_unique<BoundKernel<Call, std::decay_t<Parameters>...>>(
        call, Values(as_parameter<std::decay_t<Parameters>>(arguments)...));
    launch->name = name;
    launch->type = type;
    launch->blocks = blocks;
    return static_cast<std::uint32_t>(submit(std::move(launch), stream));
}

}  // namespace aicore
