// Kernels: one that is written out, one that a macro makes, and a template, which has no launcher.
#include "add_tiles.h"
#include "size.h"

extern "C" __global__ __aicore__ void add_custom(GM_ADDR x, GM_ADDR y, GM_ADDR z, uint32_t count) {
    add_tiles<ELEMENT>(x, y, z, count);
}

#define ADD_OF(TYPE)                                                                       \
    __global__ __aicore__ void add_##TYPE(__gm__ TYPE* x, const __gm__ TYPE* y, GM_ADDR z, \
                                          const Size size) {                               \
        add_tiles<TYPE>((GM_ADDR)x, (GM_ADDR)y, z, size.rows * size.columns);              \
    }

namespace kernels::of_types {
ADD_OF(float)
}  // namespace kernels::of_types

template <class T>
__global__ __aicore__ void add_any(GM_ADDR x, GM_ADDR y, GM_ADDR z, uint32_t count) {
    add_tiles<T>(x, y, z, count);
}

#ifdef NOT_DEFINED
extern "C" __global__ __aicore__ void add_never(GM_ADDR x) {}
#endif
