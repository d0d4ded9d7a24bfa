// z = x + y, the part of one block. The number of elements is a multiple of a tile.
#pragma once
#include "kernel_operator.h"

template <class T>
__aicore__ inline void add_tiles(GM_ADDR x, GM_ADDR y, GM_ADDR z, uint32_t count) {
    constexpr uint32_t tile = 1024;
    AscendC::TPipe pipe;
    AscendC::TQue<AscendC::QuePosition::VECIN, 1> in_x;
    AscendC::TQue<AscendC::QuePosition::VECIN, 1> in_y;
    AscendC::TQue<AscendC::QuePosition::VECOUT, 1> out;
    pipe.InitBuffer(in_x, 1, tile * sizeof(T));
    pipe.InitBuffer(in_y, 1, tile * sizeof(T));
    pipe.InitBuffer(out, 1, tile * sizeof(T));
    AscendC::GlobalTensor<T> global[3];
    global[0].SetGlobalBuffer(reinterpret_cast<__gm__ T*>(x), count);
    global[1].SetGlobalBuffer(reinterpret_cast<__gm__ T*>(y), count);
    global[2].SetGlobalBuffer(reinterpret_cast<__gm__ T*>(z), count);
    const uint32_t step = tile * AscendC::GetBlockNum();
    for (uint32_t begin = AscendC::GetBlockIdx() * tile; begin < count; begin += step) {
        auto first = in_x.AllocTensor<T>();
        auto second = in_y.AllocTensor<T>();
        AscendC::DataCopy(first, global[0][begin], tile);
        AscendC::DataCopy(second, global[1][begin], tile);
        in_x.EnQue(first);
        in_y.EnQue(second);
        first = in_x.DeQue<T>();
        second = in_y.DeQue<T>();
        auto sum = out.AllocTensor<T>();
        AscendC::Add(sum, first, second, tile);
        out.EnQue(sum);
        in_x.FreeTensor(first);
        in_y.FreeTensor(second);
        sum = out.DeQue<T>();
        AscendC::DataCopy(global[2][begin], sum, tile);
        out.FreeTensor(sum);
    }
}
