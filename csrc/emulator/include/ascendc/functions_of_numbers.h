// Library functions beyond one argument or of other results: Xor, Fmod, IsFinite, Clamp, CumSum.
#pragma once

#include "ascendc/function_forms.h"

AICORE_FUNCTION_OF_TWO(Xor, x ^ y)
AICORE_FUNCTION_OF_TWO(BitwiseAnd, x& y)
AICORE_FUNCTION_OF_TWO(BitwiseOr, x | y)
AICORE_FUNCTION_OF_TWO(BitwiseXor, x ^ y)
AICORE_FUNCTION_OF_TWO(Fmod, std::fmod(x, y))
AICORE_FUNCTION_OF_TWO(Hypot, std::hypot(x, y))
AICORE_FUNCTION_OF_TWO(LogicalAnd, x != 0 && y != 0)
AICORE_FUNCTION_OF_TWO(LogicalOr, x != 0 || y != 0)
AICORE_FUNCTION_OF_TWO(LogicalXor, (x != 0) != (y != 0))

AICORE_FUNCTION_TO(IsFinite, std::isfinite(x))
AICORE_FUNCTION_TO(IsInf, std::isinf(x))
AICORE_FUNCTION_TO(IsNan, std::isnan(x))
AICORE_FUNCTION_TO(LogicalNot, x == 0)
AICORE_FUNCTION_TO(BitwiseNot, ~x)
AICORE_FUNCTION_TO(Rint, std::nearbyint(x))
AICORE_FUNCTION_TO(Lgamma, std::lgamma(x))

namespace AscendC {

/// Exp with a Taylor series for accuracy: the emulated Exp is as accurate without.
template <class T, std::uint8_t taylorExpandLevel, bool isReuseSource = false>
void Exp(const LocalTensor<T>& dst, const LocalTensor<T>& src, std::uint32_t count,
         aicore::Site site = aicore::Site::here()) {
    Exp(dst, src, static_cast<std::int32_t>(count), site);
}
template <class T, std::uint8_t taylorExpandLevel, bool isReuseSource = false>
void Exp(const LocalTensor<T>& dst, const LocalTensor<T>& src,
         const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, std::uint32_t count,
         aicore::Site site = aicore::Site::here()) {
    Exp(dst, src, static_cast<std::int32_t>(count), site);
}

template <class T, bool isReuseSource = false>
void Power(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const aicore::Given<T>& src1,
           std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    aicore::with_count(
        {"Power", aicore::Pipe::v, site}, count, false, dst,
        [exponent = aicore::widen(src1)](T, T value) {
            return static_cast<T>(std::pow(aicore::widen(value), exponent));
        },
        src0);
}
template <class T, bool isReuseSource = false>
void Power(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const aicore::Given<T>& src1,
           aicore::Site site = aicore::Site::here()) {
    Power<T>(dst, src0, src1, src0.GetSize(), site);
}
template <class T, bool isReuseSource = false>
void Power(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,
           const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, std::uint32_t count,
           aicore::Site site = aicore::Site::here()) {
    Power(dst, src0, src1, count, site);
}
template <class T, bool isReuseSource = false>
void Power(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const aicore::Given<T>& src1,
           const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, std::uint32_t count,
           aicore::Site site = aicore::Site::here()) {
    Power<T>(dst, src0, src1, count, site);
}
template <class T, bool isReuseSource = false>
void Power(const LocalTensor<T>& dst, const aicore::Given<T>& src0, const LocalTensor<T>& src1,
           const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, std::uint32_t count,
           aicore::Site site = aicore::Site::here()) {
    aicore::with_count(
        {"Power", aicore::Pipe::v, site}, count, false, dst,
        [base = aicore::widen(src0)](T, T value) {
            return static_cast<T>(std::pow(base, aicore::widen(value)));
        },
        src1);
}
template <class T, bool isReuseSource = false>
void Power(const LocalTensor<T>& dst, const aicore::Given<T>& src0, const LocalTensor<T>& src1,
           std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    Power<T>(dst, src0, src1, {}, count, site);
}
template <class T, bool isReuseSource = false>
void Power(const LocalTensor<T>& dst, const aicore::Given<T>& src0, const LocalTensor<T>& src1,
           aicore::Site site = aicore::Site::here()) {
    Power<T>(dst, src0, src1, {}, src1.GetSize(), site);
}
template <class T, bool isReuseSource = false>
void Power(const LocalTensor<T>& dst, const aicore::Given<T>& src0, const LocalTensor<T>& src1,
           const LocalTensor<std::uint8_t>& sharedTmpBuffer,
           aicore::Site site = aicore::Site::here()) {
    Power<T>(dst, src0, src1, sharedTmpBuffer, src1.GetSize(), site);
}
template <class T, bool isReuseSource = false>
void Power(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,
           const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
           aicore::Site site = aicore::Site::here()) {
    Power<T>(dst, src0, src1, src0.GetSize(), site);
}
template <class T, bool isReuseSource = false>
void Power(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const aicore::Given<T>& src1,
           const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
           aicore::Site site = aicore::Site::here()) {
    Power<T>(dst, src0, src1, src0.GetSize(), site);
}

template <class T, bool isReuseSource = false>
void ClampMax(const LocalTensor<T>& dst, const LocalTensor<T>& src,
              const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, aicore::Given<T> scalar,
              std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    Mins(dst, src, scalar, static_cast<std::int32_t>(count), site);
}
template <class T, bool isReuseSource = false>
void ClampMin(const LocalTensor<T>& dst, const LocalTensor<T>& src,
              const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, aicore::Given<T> scalar,
              std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    Maxs(dst, src, scalar, static_cast<std::int32_t>(count), site);
}

template <class T, bool isReuseSource = false>
void SinCos(const LocalTensor<T>& dst0, const LocalTensor<T>& dst1, const LocalTensor<T>& src,
            const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, std::uint32_t count,
            aicore::Site site = aicore::Site::here()) {
    Sin(dst0, src, count, site);
    Cos(dst1, src, count, site);
}

struct CumSumInfo {
    std::uint32_t outter = 0;
    std::uint32_t inner = 0;
};
enum class CumSumAlgorithm : std::uint8_t {
    CUMSUM_ALGORITHM_LINEBYLINE = 0,
    CUMSUM_ALGORITHM_SKLANSKY = 1
};
struct CumSumConfig {
    bool isLastAxis = true;
    bool isReuseSource = false;
    bool outputLastRow = false;
    CumSumAlgorithm algorithm = CumSumAlgorithm::CUMSUM_ALGORITHM_LINEBYLINE;
};
constexpr CumSumConfig defaultCumSumConfig{};

/// The running sums along the last axis, or along the first; `lastRow` gets the whole sums.
template <class T, const CumSumConfig& config = defaultCumSumConfig>
void CumSum(const LocalTensor<T>& dst, const LocalTensor<T>& lastRow, const LocalTensor<T>& src,
            const CumSumInfo& info, aicore::Site site = aicore::Site::here()) {
    static_assert(config.algorithm == CumSumAlgorithm::CUMSUM_ALGORITHM_LINEBYLINE,
                  "CumSum: CUMSUM_ALGORITHM_SKLANSKY exists on Ascend 950 only");
    const aicore::Instruction instruction{"CumSum", aicore::Pipe::v, site};
    aicore::core->require(info.inner * sizeof(T) % 32 == 0, "alignment",
                          "CumSum: a row must be a multiple of 32 bytes", site);
    const std::uint64_t size = std::uint64_t{info.outter} * info.inner;
    src.use(instruction, 0, size * sizeof(T), false);
    dst.use(instruction, 0, size * sizeof(T), true);
    const std::uint32_t sums = config.isLastAxis ? info.outter : info.inner;
    const std::uint32_t steps = config.isLastAxis ? info.inner : info.outter;
    if constexpr (config.outputLastRow) {
        lastRow.use(instruction, 0, sums * sizeof(T), true);
    }
    for (std::uint32_t sum = 0; sum < sums; ++sum) {
        float total = 0;  // rounded where it is stored only
        for (std::uint32_t step = 0; step < steps; ++step) {
            const std::uint64_t at = config.isLastAxis ? std::uint64_t{sum} * info.inner + step
                                                       : std::uint64_t{step} * info.inner + sum;
            total += static_cast<float>(src.data()[at]);
            dst.data()[at] = static_cast<T>(total);
        }
        if constexpr (config.outputLastRow) {
            lastRow.data()[sum] = static_cast<T>(total);
        }
    }
}
template <class T, const CumSumConfig& config = defaultCumSumConfig>
void CumSum(const LocalTensor<T>& dst, const LocalTensor<T>& lastRow, const LocalTensor<T>& src,
            const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, const CumSumInfo& info,
            aicore::Site site = aicore::Site::here()) {
    CumSum<T, config>(dst, lastRow, src, info, site);
}

}  // namespace AscendC
