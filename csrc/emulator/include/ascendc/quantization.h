// AscendQuant to int8, AscendDequant from int32 and AscendAntiQuant from int8.
#pragma once

#include "ascendc/vector_cast.h"

namespace AscendC {

struct AscendQuantConfig {
    std::uint32_t calcCount = 0;
    std::uint32_t offsetCount = 0;
    std::uint32_t scaleCount = 0;
    std::uint32_t workLocalSize = 0;
};
constexpr AscendQuantConfig ASCEND_QUANT_DEFAULT_CFG{};

enum class DeQuantMode : std::uint8_t { DEQUANT_WITH_SINGLE_ROW = 0, DEQUANT_WITH_MULTI_ROW };
struct DequantParams {
    std::uint32_t m = 0;
    std::uint32_t n = 0;
    std::uint32_t calCount = 0;
};
struct AntiQuantShapeInfo {
    std::uint32_t offsetHeight = 0;
    std::uint32_t offsetWidth = 0;
    std::uint32_t scaleHeight = 0;
    std::uint32_t scaleWidth = 0;
};

}  // namespace AscendC

namespace aicore {

/// x * scale + offset in half, as a device computes it, rounded to int8.
inline std::int8_t quantized(float value, float scale, float offset) {
    const half narrow = static_cast<half>(value);
    const half scaled = static_cast<half>(static_cast<float>(narrow) *
                                          static_cast<float>(static_cast<half>(scale)));
    const half moved = static_cast<half>(static_cast<float>(scaled) +
                                         static_cast<float>(static_cast<half>(offset)));
    return saturated<std::int8_t>(std::nearbyint(static_cast<float>(moved)));
}

}  // namespace aicore

namespace AscendC {

template <class T, bool isReuseSource = false,
          const AscendQuantConfig& config = ASCEND_QUANT_DEFAULT_CFG>
void AscendQuant(const LocalTensor<std::int8_t>& dst, const LocalTensor<T>& src, float scale,
                 float offset, std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    aicore::with_count(
        {"AscendQuant", aicore::Pipe::v, site}, count, false, dst,
        [scale, offset](std::int8_t, T value) {
            return aicore::quantized(static_cast<float>(value), scale, offset);
        },
        src);
}
template <class T, bool isReuseSource = false,
          const AscendQuantConfig& config = ASCEND_QUANT_DEFAULT_CFG>
void AscendQuant(const LocalTensor<std::int8_t>& dst, const LocalTensor<T>& src, float scale,
                 float offset, aicore::Site site = aicore::Site::here()) {
    AscendQuant<T>(dst, src, scale, offset, src.GetSize(), site);
}
template <class T, bool isReuseSource = false,
          const AscendQuantConfig& config = ASCEND_QUANT_DEFAULT_CFG>
void AscendQuant(const LocalTensor<std::int8_t>& dst, const LocalTensor<T>& src,
                 const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, float scale, float offset,
                 std::uint32_t count, aicore::Site site = aicore::Site::here()) {
    AscendQuant<T>(dst, src, scale, offset, count, site);
}
template <class T, bool isReuseSource = false,
          const AscendQuantConfig& config = ASCEND_QUANT_DEFAULT_CFG>
void AscendQuant(const LocalTensor<std::int8_t>& dst, const LocalTensor<T>& src,
                 const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, float scale, float offset,
                 aicore::Site site = aicore::Site::here()) {
    AscendQuant<T>(dst, src, scale, offset, src.GetSize(), site);
}

/// A factor per column, one offset.
template <class T, bool isReuseSource = false,
          const AscendQuantConfig& config = ASCEND_QUANT_DEFAULT_CFG>
void AscendQuant(const LocalTensor<std::int8_t>& dst, const LocalTensor<T>& src,
                 const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, const LocalTensor<T>& scale,
                 aicore::Given<T> offset, std::uint32_t scaleCount, std::uint32_t calCount,
                 aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"AscendQuant", aicore::Pipe::v, site};
    src.use(instruction, 0, calCount * sizeof(T), false);
    scale.use(instruction, 0, scaleCount * sizeof(T), false);
    dst.use(instruction, 0, calCount, true);
    for (std::uint32_t index = 0; index < calCount; ++index) {
        dst.data()[index] = aicore::quantized(aicore::widen(src.data()[index]),
                                              aicore::widen(scale.data()[index % scaleCount]),
                                              aicore::widen(offset));
    }
}
/// A factor and an offset per column.
template <class T, bool isReuseSource = false,
          const AscendQuantConfig& config = ASCEND_QUANT_DEFAULT_CFG>
void AscendQuant(const LocalTensor<std::int8_t>& dst, const LocalTensor<T>& src,
                 const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, const LocalTensor<T>& scale,
                 const LocalTensor<T>& offset, std::uint32_t scaleCount, std::uint32_t offsetCount,
                 std::uint32_t calCount, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"AscendQuant", aicore::Pipe::v, site};
    src.use(instruction, 0, calCount * sizeof(T), false);
    scale.use(instruction, 0, scaleCount * sizeof(T), false);
    offset.use(instruction, 0, offsetCount * sizeof(T), false);
    dst.use(instruction, 0, calCount, true);
    for (std::uint32_t index = 0; index < calCount; ++index) {
        dst.data()[index] = aicore::quantized(aicore::widen(src.data()[index]),
                                              aicore::widen(scale.data()[index % scaleCount]),
                                              aicore::widen(offset.data()[index % offsetCount]));
    }
}

}  // namespace AscendC

namespace aicore {

/// The first calCount columns of each row, each times its factor.
template <class To, class Factor>
void dequantize(Site site, const LocalTensor<To>& to, const LocalTensor<std::int32_t>& from,
                AscendC::DequantParams params, bool single_row, Factor factor) {
    const Instruction instruction{"AscendDequant", Pipe::v, site};
    constexpr std::uint32_t per_block = 32 / sizeof(To);
    if (single_row && params.m == 1 && params.calCount % per_block == 0 &&
        params.n % params.calCount == 0) {
        params = {params.n / params.calCount, params.calCount, params.calCount};
    }
    const std::uint32_t pitch = (params.n + per_block - 1) / per_block * per_block;
    from.use(instruction, 0, std::uint64_t{params.m} * params.n * 4, false);
    to.use(instruction, 0, std::uint64_t{params.m} * pitch * sizeof(To), true);
    for (std::uint32_t row = 0; row < params.m; ++row) {
        for (std::uint32_t column = 0; column < params.calCount; ++column) {
            const float value =
                static_cast<float>(from.data()[std::size_t{row} * params.n + column]);
            to.data()[std::size_t{row} * pitch + column] = static_cast<To>(value * factor(column));
        }
    }
}

/// A factor as fp32: uint64_t holds the bits of a float.
template <class Scale>
float factor_of(Scale scale) {
    if constexpr (std::is_same_v<Scale, std::uint64_t>) {
        const auto bits = static_cast<std::uint32_t>(scale);
        float factor = 0;
        std::memcpy(&factor, &bits, sizeof factor);
        return factor;
    } else {
        return static_cast<float>(scale);
    }
}

}  // namespace aicore

namespace AscendC {

template <class To, class Scale, DeQuantMode mode = DeQuantMode::DEQUANT_WITH_SINGLE_ROW>
void AscendDequant(const LocalTensor<To>& dst, const LocalTensor<std::int32_t>& src,
                   const LocalTensor<Scale>& deqScale,
                   const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, DequantParams params,
                   aicore::Site site = aicore::Site::here()) {
    deqScale.use({"AscendDequant", aicore::Pipe::v, site}, 0, params.calCount * sizeof(Scale),
                 false);
    aicore::dequantize(
        site, dst, src, params, mode == DeQuantMode::DEQUANT_WITH_SINGLE_ROW,
        [&](std::uint32_t column) { return aicore::factor_of(deqScale.data()[column]); });
}
template <class To, class Scale, DeQuantMode mode = DeQuantMode::DEQUANT_WITH_SINGLE_ROW>
void AscendDequant(const LocalTensor<To>& dst, const LocalTensor<std::int32_t>& src,
                   const LocalTensor<Scale>& deqScale, DequantParams params,
                   aicore::Site site = aicore::Site::here()) {
    AscendDequant<To, Scale, mode>(dst, src, deqScale, LocalTensor<std::uint8_t>(), params, site);
}
template <class To, class Scale, DeQuantMode mode = DeQuantMode::DEQUANT_WITH_SINGLE_ROW>
void AscendDequant(const LocalTensor<To>& dst, const LocalTensor<std::int32_t>& src, Scale deqScale,
                   const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, DequantParams params,
                   aicore::Site site = aicore::Site::here()) {
    aicore::dequantize(site, dst, src, params, mode == DeQuantMode::DEQUANT_WITH_SINGLE_ROW,
                       [deqScale](std::uint32_t) { return aicore::factor_of(deqScale); });
}
template <class To, class Scale, DeQuantMode mode = DeQuantMode::DEQUANT_WITH_SINGLE_ROW>
void AscendDequant(const LocalTensor<To>& dst, const LocalTensor<std::int32_t>& src,
                   const LocalTensor<Scale>& deqScale,
                   const LocalTensor<std::uint8_t>& sharedTmpBuffer, std::uint32_t calCount,
                   aicore::Site site = aicore::Site::here()) {
    AscendDequant<To, Scale, mode>(dst, src, deqScale, sharedTmpBuffer,
                                   {1, src.GetSize(), calCount}, site);
}
template <class To, class Scale, DeQuantMode mode = DeQuantMode::DEQUANT_WITH_SINGLE_ROW>
void AscendDequant(const LocalTensor<To>& dst, const LocalTensor<std::int32_t>& src,
                   const LocalTensor<Scale>& deqScale,
                   const LocalTensor<std::uint8_t>& sharedTmpBuffer,
                   aicore::Site site = aicore::Site::here()) {
    AscendDequant<To, Scale, mode>(dst, src, deqScale, sharedTmpBuffer, deqScale.GetSize(), site);
}

/// `scale * (src + offset)` with one factor, or with one per group of k rows and column.
template <class From, class To, bool isTranspose>
void AscendAntiQuant(const LocalTensor<To>& dst, const LocalTensor<From>& src,
                     aicore::Given<To> offset, aicore::Given<To> scale,
                     const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, std::uint32_t /*k*/,
                     const AntiQuantShapeInfo& /*shapeInfo*/ = {},
                     aicore::Site site = aicore::Site::here()) {
    aicore::with_count(
        {"AscendAntiQuant", aicore::Pipe::v, site}, src.GetSize(), false, dst,
        [offset, scale](To, From value) {
            return static_cast<To>(aicore::widen(scale) *
                                   (static_cast<float>(value) + aicore::widen(offset)));
        },
        src);
}
template <class From, class To, bool isTranspose>
void AscendAntiQuant(const LocalTensor<To>& dst, const LocalTensor<From>& src,
                     const LocalTensor<To>& offset, const LocalTensor<To>& scale,
                     const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, std::uint32_t k,
                     const AntiQuantShapeInfo& /*shapeInfo*/ = {},
                     aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"AscendAntiQuant", aicore::Pipe::v, site};
    const std::uint32_t size = src.GetSize();
    const std::uint32_t columns = isTranspose ? k : size / k;  // src is [k, n], or [n, k]
    src.use(instruction, 0, size * sizeof(From), false);
    offset.use(instruction, 0, offset.GetSize() * sizeof(To), false);
    scale.use(instruction, 0, scale.GetSize() * sizeof(To), false);
    dst.use(instruction, 0, size * sizeof(To), true);
    for (std::uint32_t index = 0; index < size; ++index) {
        const std::uint32_t channel = isTranspose ? index / columns : index % columns;
        const float moved = static_cast<float>(src.data()[index]) +
                            aicore::widen(offset.data()[channel % offset.GetSize()]);
        dst.data()[index] =
            static_cast<To>(aicore::widen(scale.data()[channel % scale.GetSize()]) * moved);
    }
}

}  // namespace AscendC
