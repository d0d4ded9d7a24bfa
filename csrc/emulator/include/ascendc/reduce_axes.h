// Reductions of a matrix in UB along its last axis (AR) or its first (RA), and Mean.
#pragma once

#include "ascendc/vector_reduce.h"

namespace AscendC {
namespace Pattern {
namespace Reduce {
struct AR {
    static constexpr bool along_last = true;
};
struct RA {
    static constexpr bool along_last = false;
};
}  // namespace Reduce
}  // namespace Pattern
}  // namespace AscendC

namespace aicore {

/// `to[i] = finish(combination of the i-th row or column)`, in fp32 or in T if it is integral.
template <class Pattern, class T, class Combine, class Finish>
void reduce_axis(const Instruction& instruction, const LocalTensor<T>& to,
                 const LocalTensor<T>& from, const std::uint32_t shape[], bool padded,
                 Combine combine, Finish finish) {
    require_vector_operand(instruction, from);
    require_vector_operand(instruction, to);
    const std::uint32_t rows = shape[0];
    const std::uint32_t columns = shape[1];
    constexpr std::uint32_t per_block = 32 / sizeof(T);
    const std::uint32_t pitch =
        padded ? (columns + per_block - 1) / per_block * per_block : columns;
    from.use(instruction, 0, (std::uint64_t{rows - 1} * pitch + columns) * sizeof(T), false);
    const std::uint32_t kept = Pattern::along_last ? rows : columns;
    const std::uint32_t reduced = Pattern::along_last ? columns : rows;
    std::vector<T> results(kept);
    for (std::uint32_t index = 0; index < kept; ++index) {
        const auto at = [&](std::uint32_t step) {
            return widen(
                from.data()[Pattern::along_last ? index * pitch + step : step * pitch + index]);
        };
        Computed<T> total = at(0);
        for (std::uint32_t step = 1; step < reduced; ++step) {
            total = combine(total, at(step));
        }
        results[index] = static_cast<T>(finish(total, reduced));
    }
    to.use(instruction, 0, kept * sizeof(T), true);
    std::copy(results.begin(), results.end(), to.data());
}

}  // namespace aicore

namespace AscendC {

#define AICORE_REDUCE_AXIS(NAME, COMBINATION, RESULT)                                    \
    template <class T, class pattern, bool isReuseSource = false>                        \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src,                      \
              const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,                      \
              const std::uint32_t srcShape[], bool srcInnerPad,                          \
              aicore::Site site = aicore::Site::here()) {                                \
        aicore::reduce_axis<pattern>(                                                    \
            {#NAME, aicore::Pipe::v, site}, dst, src, srcShape, srcInnerPad,             \
            [](auto x, auto y) { return static_cast<decltype(x)>(COMBINATION); },        \
            [](auto x, [[maybe_unused]] std::uint32_t n) { return RESULT; });            \
    }                                                                                    \
    template <class T, class pattern, bool isReuseSource = false>                        \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src,                      \
              const std::uint32_t srcShape[], bool srcInnerPad,                          \
              aicore::Site site = aicore::Site::here()) {                                \
        NAME<T, pattern, isReuseSource>(dst, src, LocalTensor<std::uint8_t>(), srcShape, \
                                        srcInnerPad, site);                              \
    }

AICORE_REDUCE_AXIS(ReduceSum, x + y, x)
AICORE_REDUCE_AXIS(ReduceMax, x < y ? y : x, x)
AICORE_REDUCE_AXIS(ReduceMin, y < x ? y : x, x)
AICORE_REDUCE_AXIS(ReduceProd, x* y, x)
AICORE_REDUCE_AXIS(ReduceMean, x + y, x / static_cast<decltype(x)>(n))
AICORE_REDUCE_AXIS(ReduceAny, x != 0 || y != 0, x != 0)
AICORE_REDUCE_AXIS(ReduceAll, x != 0 && y != 0, x != 0)

struct MeanParams {
    std::uint32_t outter = 1;
    std::uint32_t inner = 0;
    std::uint32_t n = 0;
};

/// The mean of the first `n` elements of each row of `inner`.
template <class T, class accType = T, bool isReuseSource = false, bool isBasicBlock = false,
          std::int32_t reduceDim = -1>
void Mean(const LocalTensor<T>& dst, const LocalTensor<T>& src,
          const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, const MeanParams& params,
          aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Mean", aicore::Pipe::v, site};
    src.use(instruction, 0, std::uint64_t{params.outter} * params.inner * sizeof(T), false);
    dst.use(instruction, 0, params.outter * sizeof(T), true);
    for (std::uint32_t row = 0; row < params.outter; ++row) {
        float total = 0;
        for (std::uint32_t column = 0; column < params.n; ++column) {
            total += static_cast<float>(src.data()[row * params.inner + column]);
        }
        dst.data()[row] = static_cast<T>(total / static_cast<float>(params.n));
    }
}
template <class T, class accType = T, bool isReuseSource = false, bool isBasicBlock = false,
          std::int32_t reduceDim = -1>
void Mean(const LocalTensor<T>& dst, const LocalTensor<T>& src, const MeanParams& params,
          aicore::Site site = aicore::Site::here()) {
    Mean<T>(dst, src, LocalTensor<std::uint8_t>(), params, site);
}

}  // namespace AscendC
