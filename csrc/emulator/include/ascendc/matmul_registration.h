// REGIST_MATMUL_OBJ: begins the Matmul objects of a kernel. matmul.h includes it behind the
// objects.
#pragma once

#include <type_traits>
#include <utility>

#include "ascendc/pipe.h"
#include "kernel_tiling/kernel_tiling.h"

namespace aicore {

template <class Object, class Next, class... Rest>
void begin_with(AscendC::TPipe* pipe, Object& object, Next&& next, Rest&&... rest);

/// End the cube core of a mixed kernel, which on a device serves the vector cores from here on.
template <bool is_cube_only, class Object, class... Rest>
void register_matmul(AscendC::TPipe* /*pipe*/, const void* /*workspace*/, Object& /*object*/,
                     const Rest&... /*rest*/) {
    if (!is_cube_only && !Object::both_cores && core->mixed && core->is_cube()) {
        throw KernelEnded{};
    }
}

inline void begin_matmuls(AscendC::TPipe* /*pipe*/) {}
/// Objects, each with its tiling behind it or without one: then the kernel calls Init, or the
/// object has a tiling at compile time.
template <class Object, class... Rest>
void begin_matmuls(AscendC::TPipe* pipe, Object& object, Rest&&... rest) {
    if constexpr (sizeof...(Rest) != 0) {
        begin_with(pipe, object, std::forward<Rest>(rest)...);
    } else if constexpr (Object::has_tiling) {
        object.Init(nullptr, pipe);
    }
}
template <class Object, class Next, class... Rest>
void begin_with(AscendC::TPipe* pipe, Object& object, Next&& next, Rest&&... rest) {
    // Not std::is_pointer, which a pointer with __restrict__ is not.
    if constexpr (requires { static_cast<const TCubeTiling*>(next); }) {
        object.Init(static_cast<const TCubeTiling*>(next), pipe);
        begin_matmuls(pipe, std::forward<Rest>(rest)...);
    } else {
        if constexpr (Object::has_tiling) {
            object.Init(nullptr, pipe);
        }
        begin_matmuls(pipe, next, std::forward<Rest>(rest)...);
    }
}

}  // namespace aicore

#ifdef ASCENDC_CUBE_ONLY
#define AICORE_IS_CUBE_ONLY true
#else
#define AICORE_IS_CUBE_ONLY false
#endif
#define REGIST_MATMUL_OBJ(pipe, workspace, ...)                                   \
    ::aicore::register_matmul<AICORE_IS_CUBE_ONLY>(pipe, workspace, __VA_ARGS__); \
    ::aicore::begin_matmuls(pipe, __VA_ARGS__)
#define REGIST_CUBE_OBJ(pipe, workspace, ...) REGIST_MATMUL_OBJ(pipe, workspace, __VA_ARGS__)
