// A kernel and the function that launches it, for hosts that are not compiled by bisheng.
#include "add_tiles.h"

extern "C" __global__ __aicore__ void KERNEL_NAME(GM_ADDR x, GM_ADDR y, GM_ADDR z, uint32_t count) {
    add_tiles<float>(x, y, z, count);
}

extern "C" void add(uint32_t blocks, void* stream, uint8_t* x, uint8_t* y, uint8_t* z,
                    uint32_t count) {
    KERNEL_NAME<<<blocks, nullptr, stream>>>(x, y, z, count);
}
