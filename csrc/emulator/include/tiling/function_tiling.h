// The tilings and the sizes of temporary buffers of library functions such as SoftMax.
//
// The emulated functions use no temporary buffer. The sizes are those of a few rows or tensors in
// fp32, so that what a kernel does with them, such as dividing UB, stays plausible.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "ascendc/without_dtype_numbers.h"
#include "kernel_tiling/kernel_tiling.h"
#include "tiling/platform/platform_ascendc.h"

namespace AscendC {

enum class TensorDataType : std::uint8_t {
    DT_FLOAT = 0,
    DT_FLOAT16 = 1,
    DT_INT8 = 2,
    DT_INT32 = 3,
    DT_UINT8 = 4,
    DT_INT16 = 6,
    DT_UINT16 = 7,
    DT_UINT32 = 8,
    DT_INT64 = 9,
    DT_UINT64 = 10,
    DT_DOUBLE = 11,
    DT_BOOL = 12,
    DT_BF16 = 27
};

/// Which axes a reduction keeps (A) and which it reduces (R), for the sizes of its buffers.
enum class ReducePattern : std::uint32_t { AR = 0, RA = 1, R, ARA, ARAR, ARARA, RAR, RARA, RARAR };

/// How Sort orders: by merging blocks, or by digits, which Ascend 950 only has.
enum class SortType : std::uint8_t { RADIX_SORT = 0, MERGE_SORT = 1 };
struct SortConfig {
    SortType type = SortType::RADIX_SORT;
    bool isDescend = false;
    bool hasSrcIndex = false;
    bool hasDstIndex = false;
};

/// The lengths of a tensor's axes.
class TensorShape {
  public:
    TensorShape() = default;
    TensorShape(std::initializer_list<std::int64_t> lengths) : lengths_(lengths) {}
    explicit TensorShape(std::vector<std::int64_t> lengths) : lengths_(std::move(lengths)) {}
    std::size_t GetDimNum() const { return lengths_.size(); }
    std::int64_t GetDim(std::size_t axis) const { return lengths_[axis]; }
    std::vector<std::int64_t> GetDims() const { return lengths_; }
    std::int64_t GetShapeSize() const {
        std::int64_t size = 1;
        for (const std::int64_t length : lengths_) {
            size *= length;
        }
        return size;
    }

  private:
    std::vector<std::int64_t> lengths_;
};

}  // namespace AscendC

namespace aicore {

constexpr std::uint32_t smallest_scratch = 256;

template <class T, class = void>
struct IsShape : std::false_type {};
template <class T>
struct IsShape<T, std::void_t<decltype(std::declval<const T&>().GetShapeSize())>> : std::true_type {
};

/// The elements of the first shape among the arguments.
template <class... Arguments>
std::uint32_t elements_of(const Arguments&... arguments) {
    std::uint32_t elements = 0;
    const auto look = [&elements](const auto& argument) {
        if constexpr (IsShape<std::decay_t<decltype(argument)>>::value) {
            if (elements == 0) {
                elements = static_cast<std::uint32_t>(argument.GetShapeSize());
            }
        }
    };
    (look(arguments), ...);
    return elements;
}

/// The bytes of one tensor in fp32.
template <class... Arguments>
std::uint32_t scratch_bytes(const Arguments&... arguments) {
    const std::uint32_t bytes = elements_of(arguments...) * 4;
    return (bytes + smallest_scratch - 1) / smallest_scratch * smallest_scratch + smallest_scratch;
}

/// Set the largest and the smallest size, which are the last two arguments before any flag.
template <class... Arguments>
void set_scratch(Arguments&&... arguments) {
    const std::uint32_t smallest = scratch_bytes(arguments...);
    auto all = std::forward_as_tuple(arguments...);
    constexpr std::size_t last = sizeof...(Arguments) - 1;
    using Last = std::decay_t<std::tuple_element_t<last, decltype(all)>>;
    constexpr std::size_t flags = std::is_same_v<Last, bool> ? 1 : 0;
    std::get<last - 1 - flags>(all) = smallest * 3;
    std::get<last - flags>(all) = smallest;
}

}  // namespace aicore

namespace AscendC {

// Sizes by reference.
#define AICORE_TMP_SIZES(NAME)                                      \
    template <class... Arguments>                                   \
    bool Get##NAME##MaxMinTmpSize(Arguments&&... arguments) {       \
        aicore::set_scratch(arguments...);                          \
        return true;                                                \
    }                                                               \
    template <class... Arguments>                                   \
    void Get##NAME##TmpBufferFactorSize(Arguments&&... arguments) { \
        auto all = std::forward_as_tuple(arguments...);             \
        std::get<sizeof...(Arguments) - 2>(all) = 1;                \
        std::get<sizeof...(Arguments) - 1>(all) = 0;                \
    }
// Sizes as results.
#define AICORE_TMP_SIZE(NAME)                                            \
    template <class... Arguments>                                        \
    std::uint32_t Get##NAME##MinTmpSize(const Arguments&... arguments) { \
        return aicore::scratch_bytes(arguments...);                      \
    }                                                                    \
    template <class... Arguments>                                        \
    std::uint32_t Get##NAME##MaxTmpSize(const Arguments&... arguments) { \
        return aicore::scratch_bytes(arguments...) * 3;                  \
    }

AICORE_TMP_SIZES(Acos)
AICORE_TMP_SIZES(Acosh)
AICORE_TMP_SIZES(AntiQuantize)
AICORE_TMP_SIZES(Arange)
AICORE_TMP_SIZES(Asin)
AICORE_TMP_SIZES(Asinh)
AICORE_TMP_SIZES(AscendAntiQuant)
AICORE_TMP_SIZES(AscendDequant)
AICORE_TMP_SIZES(AscendQuant)
AICORE_TMP_SIZES(Atan)
AICORE_TMP_SIZES(Atanh)
AICORE_TMP_SIZES(Axpy)
AICORE_TMP_SIZES(BatchNorm)
AICORE_TMP_SIZES(BitwiseAnd)
AICORE_TMP_SIZES(BitwiseNot)
AICORE_TMP_SIZES(BitwiseOr)
AICORE_TMP_SIZES(BitwiseXor)
AICORE_TMP_SIZES(BroadCast)
AICORE_TMP_SIZES(Broadcast)
AICORE_TMP_SIZES(Ceil)
AICORE_TMP_SIZES(Clamp)
AICORE_TMP_SIZES(ClampMax)
AICORE_TMP_SIZES(ClampMin)
AICORE_TMP_SIZES(ConfusionTranspose)
AICORE_TMP_SIZES(Cos)
AICORE_TMP_SIZES(Cosh)
AICORE_TMP_SIZES(CumSum)
AICORE_TMP_SIZES(DeepNorm)
AICORE_TMP_SIZES(Dequantize)
AICORE_TMP_SIZES(Digamma)
AICORE_TMP_SIZES(DropOut)
AICORE_TMP_SIZES(Erf)
AICORE_TMP_SIZES(Erfc)
AICORE_TMP_SIZES(Exp)
AICORE_TMP_SIZES(Floor)
AICORE_TMP_SIZES(Fma)
AICORE_TMP_SIZES(Fmod)
AICORE_TMP_SIZES(Frac)
AICORE_TMP_SIZES(GeGLU)
AICORE_TMP_SIZES(Gelu)
AICORE_TMP_SIZES(GroupNorm)
AICORE_TMP_SIZES(Hypot)
AICORE_TMP_SIZES(IsFinite)
AICORE_TMP_SIZES(IsInf)
AICORE_TMP_SIZES(IsNan)
AICORE_TMP_SIZES(LayerNorm)
AICORE_TMP_SIZES(LayerNormGrad)
AICORE_TMP_SIZES(LayerNormGradBeta)
AICORE_TMP_SIZES(Lgamma)
AICORE_TMP_SIZES(Log)
AICORE_TMP_SIZES(LogicalAnd)
AICORE_TMP_SIZES(LogicalAnds)
AICORE_TMP_SIZES(LogicalNot)
AICORE_TMP_SIZES(LogicalOr)
AICORE_TMP_SIZES(LogicalOrs)
AICORE_TMP_SIZES(LogicalXor)
AICORE_TMP_SIZES(LogSoftMax)
AICORE_TMP_SIZES(Mean)
AICORE_TMP_SIZES(Normalize)
AICORE_TMP_SIZES(Pad)
AICORE_TMP_SIZES(Philox)
AICORE_TMP_SIZES(Power)
AICORE_TMP_SIZES(Quantize)
AICORE_TMP_SIZES(ReduceAll)
AICORE_TMP_SIZES(ReduceAny)
AICORE_TMP_SIZES(ReduceMax)
AICORE_TMP_SIZES(ReduceMean)
AICORE_TMP_SIZES(ReduceMin)
AICORE_TMP_SIZES(ReduceProd)
AICORE_TMP_SIZES(ReduceSum)
AICORE_TMP_SIZES(ReduceXorSum)
AICORE_TMP_SIZES(ReGlu)
AICORE_TMP_SIZES(Rint)
AICORE_TMP_SIZES(RmsNorm)
AICORE_TMP_SIZES(Round)
AICORE_TMP_SIZES(Select)
AICORE_TMP_SIZES(SelectWithBytesMask)
AICORE_TMP_SIZES(Sigmoid)
AICORE_TMP_SIZES(Sign)
AICORE_TMP_SIZES(Sin)
AICORE_TMP_SIZES(SinCos)
AICORE_TMP_SIZES(Sinh)
AICORE_TMP_SIZES(SoftMaxFlashV3)
AICORE_TMP_SIZES(Sort)
AICORE_TMP_SIZES(Sum)
AICORE_TMP_SIZES(SwiGLU)
AICORE_TMP_SIZES(Tan)
AICORE_TMP_SIZES(Tanh)
AICORE_TMP_SIZES(TransData)
AICORE_TMP_SIZES(Transpose)
AICORE_TMP_SIZES(Trunc)
AICORE_TMP_SIZES(UnPad)
AICORE_TMP_SIZES(WelfordFinalize)
AICORE_TMP_SIZES(WelfordUpdate)
AICORE_TMP_SIZES(Where)
AICORE_TMP_SIZES(Xor)

/// The temporary buffer of TopK: a value and an index per element, and room to merge them.
template <class Mode>
bool GetTopKMaxMinTmpSize(const platform_ascendc::PlatformAscendC& /*platform*/, std::int32_t inner,
                          std::int32_t outter, bool /*isReuseSource*/, bool /*isInitIndex*/,
                          Mode /*mode*/, bool /*isLargest*/, std::uint32_t dataTypeSize,
                          std::uint32_t& maxValue, std::uint32_t& minValue) {
    if (inner <= 0 || inner % 32 != 0 || outter <= 0 || (dataTypeSize != 2 && dataTypeSize != 4)) {
        return false;
    }
    const auto elements = static_cast<std::uint32_t>(inner) * static_cast<std::uint32_t>(outter);
    minValue = static_cast<std::uint32_t>(inner) * 16 + aicore::smallest_scratch;
    maxValue = elements * 16 + aicore::smallest_scratch;
    return true;
}

/// The tiling of TopK, from which the emulated function reads nothing.
template <class... Arguments>
bool TopKTilingFunc(Arguments&&... arguments) {
    auto all = std::forward_as_tuple(arguments...);
    ::TopkTiling& tiling = std::get<sizeof...(Arguments) - 1>(all);
    tiling = {};
    return true;
}

AICORE_TMP_SIZE(DropOut)
AICORE_TMP_SIZE(Gelu)
AICORE_TMP_SIZE(LogSoftMax)
AICORE_TMP_SIZE(Select)
AICORE_TMP_SIZE(SelectWithBytesMask)
AICORE_TMP_SIZE(SoftMax)
AICORE_TMP_SIZE(SoftMaxFlash)
AICORE_TMP_SIZE(SoftMaxFlashV2)
AICORE_TMP_SIZE(SoftMaxGrad)

/// The elements that Mean takes as its temporary buffer, and what Swish and Silu take.
template <class Shape>
void GetSwishTmpSize(const Shape& shape, std::uint32_t /*typeSize*/, bool /*isReuseSource*/,
                     std::uint32_t& maxValue, std::uint32_t& minValue) {
    aicore::set_scratch(shape, maxValue, minValue);
}
template <class Shape>
void GetSiluTmpSize(const Shape& shape, std::uint32_t /*typeSize*/, bool /*isReuseSource*/,
                    std::uint32_t& maxValue, std::uint32_t& minValue) {
    aicore::set_scratch(shape, maxValue, minValue);
}
template <class... Arguments>
std::uint32_t GetSortTmpSize(const Arguments&... arguments) {
    return aicore::scratch_bytes(arguments...);
}
template <class Platform>
std::uint32_t GetConcatTmpSize(const Platform& /*platform*/, std::uint32_t elements,
                               std::uint32_t typeSize) {
    return elements * typeSize * 2;
}
template <class Platform>
std::uint32_t GetSortOffset(const Platform& /*platform*/, std::uint32_t elements,
                            std::uint32_t typeSize) {
    return elements * 8 / typeSize;
}
template <class Platform>
std::uint32_t GetSortLen(const Platform& /*platform*/, std::uint32_t elements,
                         std::uint32_t typeSize) {
    return elements * 8 / typeSize;
}

}  // namespace AscendC

namespace aicore {

/// Rows and columns of a shape: the last axis, and all others.
template <class Tiling, class Shape>
void fill_rows(Tiling& tiling, const Shape& shape, std::uint32_t type_bytes) {
    const auto columns = static_cast<std::uint32_t>(shape.GetDim(shape.GetDimNum() - 1));
    const auto rows = static_cast<std::uint32_t>(shape.GetShapeSize()) / std::max(1U, columns);
    tiling = {};
    tiling.srcM = tiling.outMaxM = tiling.splitM = tiling.reduceM = tiling.rangeM = rows;
    tiling.srcK = tiling.splitK = columns;
    tiling.srcSize = tiling.splitSize = rows * columns;
    tiling.outMaxK = tiling.reduceK = 32 / type_bytes;
    tiling.outMaxSize = tiling.reduceSize = rows * tiling.outMaxK;
    tiling.rangeM = 1;
}

/// B, S and H of a shape, which begins with the axes that are missing as 1.
template <class Tiling, class Shape>
void fill_bsh(Tiling& tiling, const Shape& shape) {
    const std::size_t axes = shape.GetDimNum();
    const auto length = [&](std::size_t from_end) {
        return from_end > axes ? 1U : static_cast<std::uint32_t>(shape.GetDim(axes - from_end));
    };
    tiling = {};
    tiling.bLength = length(3);
    tiling.sLength = length(2);
    tiling.hLength = tiling.originalHLength = length(1);
}

}  // namespace aicore

namespace AscendC {

#define AICORE_SOFTMAX_TILING(NAME, TILING)                                                    \
    template <class Shape, class... Options>                                                   \
    void NAME(const Shape& srcShape, std::uint32_t dataTypeSize, Options&&... options) {       \
        std::uint32_t ignored = 0;                                                             \
        const auto look = [&](auto& option) {                                                  \
            if constexpr (std::is_same_v<std::remove_reference_t<decltype(option)>, TILING>) { \
                aicore::fill_rows(option, srcShape, dataTypeSize);                             \
            } else {                                                                           \
                ++ignored;                                                                     \
            }                                                                                  \
        };                                                                                     \
        (look(options), ...);                                                                  \
    }

AICORE_SOFTMAX_TILING(SoftMaxTilingFunc, ::SoftMaxTiling)
AICORE_SOFTMAX_TILING(SoftMaxFlashTilingFunc, ::SoftMaxTiling)
AICORE_SOFTMAX_TILING(SoftMaxFlashV2TilingFunc, ::SoftMaxTiling)
AICORE_SOFTMAX_TILING(SoftMaxFlashV3TilingFunc, ::SoftMaxTiling)
AICORE_SOFTMAX_TILING(SoftMaxGradTilingFunc, ::SoftMaxTiling)
AICORE_SOFTMAX_TILING(LogSoftMaxTilingFunc, ::LogSoftMaxTiling)

inline bool IsBasicBlockInSoftMax(::SoftMaxTiling& /*tiling*/, std::uint32_t /*typeSize*/ = 2) {
    return false;
}

// The tiling is the last argument, before any flag.
#define AICORE_NORM_TILING(NAME, TILING)                              \
    template <class Shape, class... Options>                          \
    bool NAME(const Shape& srcShape, Options&&... options) {          \
        const auto look = [&](auto& option) {                         \
            using Option = std::remove_reference_t<decltype(option)>; \
            if constexpr (std::is_same_v<Option, TILING>) {           \
                aicore::fill_bsh(option, srcShape);                   \
            }                                                         \
        };                                                            \
        (look(options), ...);                                         \
        return true;                                                  \
    }

AICORE_NORM_TILING(GetLayerNormNDTilingInfo, ::LayerNormTiling)
AICORE_NORM_TILING(GetLayerNormNDTillingInfo, ::LayerNormTiling)
AICORE_NORM_TILING(GetLayerNormGradBetaNDTilingInfo, ::LayerNormGradBetaTiling)
AICORE_NORM_TILING(GetLayerNormGradNDTilingInfo, ::LayerNormGradTiling)
AICORE_NORM_TILING(GetRmsNormTilingInfo, ::RmsNormTiling)
AICORE_NORM_TILING(GetDeepNormTilingInfo, ::DeepNormTiling)

}  // namespace AscendC
