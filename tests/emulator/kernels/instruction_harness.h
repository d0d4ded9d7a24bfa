// What kernels on 256 floats share: x and y are loaded, and z, which begins as zeros, is stored.
#pragma once

#include "kernel_operator.h"

using namespace AscendC;

constexpr uint32_t count = 256;

class Instructions {
  public:
    __aicore__ Instructions(GM_ADDR x, GM_ADDR y, GM_ADDR z) {
        const uint32_t bytes = count * sizeof(float);
        pipe_.InitBuffer(in_, 2, bytes);
        pipe_.InitBuffer(out_, 1, bytes);
        pipe_.InitBuffer(work_, 8 * bytes);
        for (GM_ADDR from : {y, x}) {
            source_.SetGlobalBuffer(reinterpret_cast<__gm__ float*>(from));
            LocalTensor<float> tensor = in_.AllocTensor<float>();
            DataCopy(tensor, source_, count);
            in_.EnQue(tensor);
        }
        target_.SetGlobalBuffer(reinterpret_cast<__gm__ float*>(z));
        y_ = in_.DeQue<float>();
        x_ = in_.DeQue<float>();
        z_ = out_.AllocTensor<float>();
        Duplicate(z_, 0.0F, count);
    }

    __aicore__ void store() {
        out_.EnQue(z_);
        z_ = out_.DeQue<float>();
        DataCopy(target_, z_, count);
        out_.FreeTensor(z_);
        in_.FreeTensor(x_);
        in_.FreeTensor(y_);
    }

    template <class T>
    __aicore__ LocalTensor<T> work(uint32_t begin = 0, uint32_t elements = count) {
        return work_.GetWithOffset<T>(elements, begin * count * sizeof(float));
    }

    LocalTensor<float> x_;
    LocalTensor<float> y_;
    LocalTensor<float> z_;
    GlobalTensor<float> source_;  // x
    GlobalTensor<float> target_;  // z

  private:
    TPipe pipe_;
    TQue<QuePosition::VECIN, 2> in_;
    TQue<QuePosition::VECOUT, 1> out_;
    TBuf<TPosition::VECCALC> work_;
};
