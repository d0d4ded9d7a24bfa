// The library functions of Ascend C on one tensor: they use vector instructions on a device, and
// take a buffer for what these need, which an emulated core does not touch.
#pragma once

#include "ascendc/vector_arithmetic.h"
#include "ascendc/vector_cast.h"

// Each function has the forms with and without a buffer, and with and without a count.
#define AICORE_FUNCTION(NAME, EXPRESSION)                                                         \
    namespace AscendC {                                                                           \
    template <class T, bool isReuseSource = false>                                                \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, std::uint32_t count,          \
              aicore::Site site = aicore::Site::here()) {                                         \
        static_assert(aicore::is_one_of<T, half, float>, #NAME " is defined for half and float"); \
        aicore::with_count(                                                                       \
            {#NAME, aicore::Pipe::v, site}, count, false, dst,                                    \
            [](T /*old*/, T value) {                                                              \
                const float x = static_cast<float>(value);                                        \
                return static_cast<T>(EXPRESSION);                                                \
            },                                                                                    \
            src);                                                                                 \
    }                                                                                             \
    template <class T, bool isReuseSource = false, template <class> class Tensor>                 \
    void NAME(const Tensor<T>& dst, const Tensor<T>& src, std::uint32_t count) {                  \
        NAME<T, isReuseSource>(dst, src, count, aicore::through_pointer);                         \
    }                                                                                             \
    template <class T, bool isReuseSource = false>                                                \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src,                               \
              const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, std::uint32_t count,          \
              aicore::Site site = aicore::Site::here()) {                                         \
        NAME(dst, src, count, site);                                                              \
    }                                                                                             \
    template <class T, bool isReuseSource = false>                                                \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src,                               \
              const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,                               \
              aicore::Site site = aicore::Site::here()) {                                         \
        NAME(dst, src, src.GetSize(), site);                                                      \
    }                                                                                             \
    template <class T, bool isReuseSource = false>                                                \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src,                               \
              aicore::Site site = aicore::Site::here()) {                                         \
        NAME(dst, src, src.GetSize(), site);                                                      \
    }                                                                                             \
    }

namespace aicore {

inline float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }
inline float gelu(float x) {
    return x * sigmoid(1.59576912F * (x + 0.044715F * x * x * x));  // the tanh form
}

}  // namespace aicore

AICORE_FUNCTION(Ceil, std::ceil(x))
AICORE_FUNCTION(Floor, std::floor(x))
AICORE_FUNCTION(Trunc, std::trunc(x))
AICORE_FUNCTION(Round, std::nearbyint(x))
AICORE_FUNCTION(Frac, x - std::trunc(x))
AICORE_FUNCTION(Sign, x > 0 ? 1.0F : x < 0 ? -1.0F : 0.0F)
AICORE_FUNCTION(Log, std::log(x))
AICORE_FUNCTION(Log2, std::log2(x))
AICORE_FUNCTION(Log10, std::log10(x))
AICORE_FUNCTION(Sin, std::sin(x))
AICORE_FUNCTION(Cos, std::cos(x))
AICORE_FUNCTION(Tan, std::tan(x))
AICORE_FUNCTION(Asin, std::asin(x))
AICORE_FUNCTION(Acos, std::acos(x))
AICORE_FUNCTION(Atan, std::atan(x))
AICORE_FUNCTION(Sinh, std::sinh(x))
AICORE_FUNCTION(Cosh, std::cosh(x))
AICORE_FUNCTION(Tanh, std::tanh(x))
AICORE_FUNCTION(Asinh, std::asinh(x))
AICORE_FUNCTION(Acosh, std::acosh(x))
AICORE_FUNCTION(Atanh, std::atanh(x))
AICORE_FUNCTION(Erf, std::erf(x))
AICORE_FUNCTION(Erfc, std::erfc(x))
AICORE_FUNCTION(Sigmoid, aicore::sigmoid(x))
AICORE_FUNCTION(Silu, x* aicore::sigmoid(x))
AICORE_FUNCTION(Gelu, aicore::gelu(x))
AICORE_FUNCTION(FasterGelu, x* aicore::sigmoid(1.702F * x))

namespace AscendC {

template <class T>
void Swish(const LocalTensor<T>& dst, const LocalTensor<T>& src, std::uint32_t count,
           aicore::Given<T> scalar, aicore::Site site = aicore::Site::here()) {
    const float beta = static_cast<float>(scalar);
    aicore::with_count(
        {"Swish", aicore::Pipe::v, site}, count, false, dst,
        [beta](T, T value) {
            const float x = static_cast<float>(value);
            return static_cast<T>(x * aicore::sigmoid(beta * x));
        },
        src);
}

/// `src0 * silu(src1)` with the slope `beta`, as CANN documents it.
template <class T, bool isReuseSource = false>
void SwiGLU(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,
            const float& beta, std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    aicore::with_count(
        {"SwiGLU", aicore::Pipe::v, site}, count, false, dst,
        [beta](T, T first, T second) {
            const float y = static_cast<float>(second);
            return static_cast<T>(static_cast<float>(first) * y * aicore::sigmoid(beta * y));
        },
        src0, src1);
}

template <class T, bool isReuseSource = false>
void Power(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,
           std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    aicore::with_count(
        {"Power", aicore::Pipe::v, site}, count, false, dst,
        [](T, T first, T second) {
            return static_cast<T>(std::pow(aicore::widen(first), aicore::widen(second)));
        },
        src0, src1);
}

/// The sum of each row of `outter` rows of `inner` elements, of which `n` count.
struct SumParams {
    std::uint32_t outter = 1;
    std::uint32_t inner = 0;
    std::uint32_t n = 0;
};

template <class T, std::int32_t reduceDim = -1, bool isReuseSource = false,
          bool isBasicBlock = false>
void Sum(const LocalTensor<T>& dst, const LocalTensor<T>& src, const SumParams& params,
         aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Sum", aicore::Pipe::v, site};
    for (std::uint32_t row = 0; row < params.outter; ++row) {
        src.use(instruction, std::uint64_t{row} * params.inner * sizeof(T), params.n * sizeof(T),
                false);
        float total = 0;
        for (std::uint32_t column = 0; column < params.n; ++column) {
            total += static_cast<float>(src.data()[row * params.inner + column]);
        }
        dst.use(instruction, row * sizeof(T), sizeof(T), true);
        dst.data()[row] = static_cast<T>(total);
    }
}
template <class T, std::int32_t reduceDim = -1, bool isReuseSource = false,
          bool isBasicBlock = false>
void Sum(const LocalTensor<T>& dst, const LocalTensor<T>& src,
         const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, const SumParams& params,
         aicore::Site site = aicore::Site::here()) {
    Sum<T>(dst, src, params, site);
}

/// Repeat a tensor along the axis in which its shape has 1.
template <class T, std::int32_t dim, std::int32_t axis, bool isReuseSource = false>
void BroadCast(const LocalTensor<T>& dst, const LocalTensor<T>& src,
               const std::uint32_t dstShape[dim], const std::uint32_t srcShape[dim],
               aicore::Site site = aicore::Site::here()) {
    static_assert(dim == 1 || dim == 2, "BroadCast is defined for one and two dimensions");
    const aicore::Instruction instruction{"BroadCast", aicore::Pipe::v, site};
    const std::uint32_t rows = dim == 2 ? dstShape[0] : 1;
    const std::uint32_t columns = dstShape[dim - 1];
    const std::uint32_t src_rows = dim == 2 ? srcShape[0] : 1;
    const std::uint32_t src_columns = srcShape[dim - 1];
    src.use(instruction, 0, std::uint64_t{src_rows} * src_columns * sizeof(T), false);
    dst.use(instruction, 0, std::uint64_t{rows} * columns * sizeof(T), true);
    for (std::uint32_t row = 0; row < rows; ++row) {
        for (std::uint32_t column = 0; column < columns; ++column) {
            dst.data()[row * columns + column] =
                src.data()[(src_rows == 1 ? 0 : row) * src_columns +
                           (src_columns == 1 ? 0 : column)];
        }
    }
}

}  // namespace AscendC
