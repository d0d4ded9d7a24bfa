// What the kernels share: rows of any length and dtype, loaded as fp32 and stored from fp32, a tile
// at a time.
#pragma once

#include "kernel_operator.h"

namespace ascend_ops::kernels {

using namespace AscendC;

/// Elements of a tile: 8 KiB in fp32, so that eight buffers of a tile leave room in UB.
constexpr uint32_t tile = 2048;
constexpr uint32_t block_bytes = 32;

/// Loads elements of type T into fp32; two buffers, so that a load overlaps with the computation.
template <class T>
class Input {
  public:
    __aicore__ void init(TPipe& pipe, GM_ADDR address) {
        global_.SetGlobalBuffer(reinterpret_cast<__gm__ T*>(address));
        pipe.InitBuffer(queue_, 2, tile * sizeof(T));
    }

    __aicore__ void load(const LocalTensor<float>& to, uint64_t begin, uint32_t count) {
        LocalTensor<T> loaded = queue_.template AllocTensor<T>();
        const DataCopyExtParams bytes(1, count * sizeof(T), 0, 0, 0);
        DataCopyPad(loaded, global_[begin], bytes, DataCopyPadExtParams<T>());
        queue_.EnQue(loaded);
        loaded = queue_.template DeQue<T>();
        if constexpr (sizeof(T) == sizeof(float)) {
            Muls(to, loaded, 1.0F, count);
        } else {
            Cast(to, loaded, RoundMode::CAST_NONE, count);
        }
        queue_.FreeTensor(loaded);
    }

  private:
    TQue<TPosition::VECIN, 2> queue_;
    GlobalTensor<T> global_;
};

/// Stores fp32 as elements of type T, rounded to the nearest even.
template <class T>
class Output {
  public:
    __aicore__ void init(TPipe& pipe, GM_ADDR address) {
        global_.SetGlobalBuffer(reinterpret_cast<__gm__ T*>(address));
        pipe.InitBuffer(queue_, 2, tile * sizeof(T));
    }

    __aicore__ void store(uint64_t begin, const LocalTensor<float>& from, uint32_t count) {
        LocalTensor<T> stored = queue_.template AllocTensor<T>();
        if constexpr (sizeof(T) == sizeof(float)) {
            Muls(stored, from, 1.0F, count);
        } else {
            Cast(stored, from, RoundMode::CAST_RINT, count);
        }
        queue_.EnQue(stored);
        stored = queue_.template DeQue<T>();
        const DataCopyExtParams bytes(1, count * sizeof(T), 0, 0, 0);
        DataCopyPad(global_[begin], stored, bytes);
        queue_.FreeTensor(stored);
    }

  private:
    TQue<TPosition::VECOUT, 2> queue_;
    GlobalTensor<T> global_;
};

/// Sums and maxima of a tile, as scalars.
class Reducer {
  public:
    __aicore__ void init(TPipe& pipe) {
        pipe.InitBuffer(work_, tile * sizeof(float));
        pipe.InitBuffer(result_, block_bytes);
    }

    __aicore__ float sum(const LocalTensor<float>& values, uint32_t count) {
        LocalTensor<float> result = result_.Get<float>();
        ReduceSum(result, values, work_.Get<float>(), count);
        return result.GetValue(0);
    }

    __aicore__ float max(const LocalTensor<float>& values, uint32_t count) {
        LocalTensor<float> result = result_.Get<float>();
        ReduceMax(result, values, work_.Get<float>(), count);
        return result.GetValue(0);
    }

    /// The largest value and the first index that holds it.
    __aicore__ float max(const LocalTensor<float>& values, uint32_t count, uint32_t& index) {
        LocalTensor<float> result = result_.Get<float>();
        ReduceMax(result, values, work_.Get<float>(), count, true);
        index = result.ReinterpretCast<uint32_t>().GetValue(1);
        return result.GetValue(0);
    }

  private:
    TBuf<TPosition::VECCALC> work_;
    TBuf<TPosition::VECCALC> result_;
};

__aicore__ inline uint32_t smaller(uint32_t first, uint32_t second) {
    return first < second ? first : second;
}

}  // namespace ascend_ops::kernels

/// Define `launch_<kernel>_<dtype>` for the three dtypes; `launch<T>` launches the kernel.
#define ASCEND_OPS_LAUNCHERS(kernel)                                                               \
    extern "C" void launch_##kernel##_float32(uint32_t blocks, void* stream, const void* packed) { \
        launch<float>(blocks, stream, packed);                                                     \
    }                                                                                              \
    extern "C" void launch_##kernel##_float16(uint32_t blocks, void* stream, const void* packed) { \
        launch<half>(blocks, stream, packed);                                                      \
    }                                                                                              \
    extern "C" void launch_##kernel##_bfloat16(uint32_t blocks, void* stream,                      \
                                               const void* packed) {                               \
        launch<bfloat16_t>(blocks, stream, packed);                                                \
    }
