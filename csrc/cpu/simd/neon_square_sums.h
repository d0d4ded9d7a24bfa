// SquareSums (see simd/scalar.h) on NEON, for the headers of NEON and SVE.
#pragma once

#include <arm_neon.h>

#include "cpu/dtype.h"
#include "cpu/simd/square_sum_lanes.h"

namespace ascend_ops {
namespace {

inline float32x4_t load_four(const float* from) { return vld1q_f32(from); }

inline float32x4_t load_four(const BFloat16* from) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(&from->bits), 16));
}

inline float32x4_t load_four(const Float16* from) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&from->bits)));
}

class SquareSums {
  public:
    template <class T>
    void add(const T* from) {
        for (int k = 0; k < 8; ++k) {
            const float32x4_t value = load_four(from + 4 * k);
            add(lanes_[2 * k], vcvt_f64_f32(vget_low_f32(value)));
            add(lanes_[2 * k + 1], vcvt_high_f64_f32(value));
        }
    }
    void store(double* to) const {
        for (int k = 0; k < 16; ++k) {
            vst1q_f64(to + 2 * k, lanes_[k]);
        }
    }

  private:
    static void add(float64x2_t& lanes, float64x2_t x) { lanes = vfmaq_f64(lanes, x, x); }

    float64x2_t lanes_[square_sum_lanes / 2] = {};
};

}  // namespace
}  // namespace ascend_ops
