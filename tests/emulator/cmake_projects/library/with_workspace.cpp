// A kernel that takes its workspace behind the part that belongs to the system.
#include "add_tiles.h"

extern "C" __global__ __aicore__ void add_with_workspace(GM_ADDR x, GM_ADDR y, GM_ADDR workspace,
                                                         GM_ADDR tiling) {
    add_tiles<float>(x, y, workspace, *reinterpret_cast<__gm__ uint32_t*>(tiling));
}
