// The tilings of library functions that pad a matrix or exchange its axes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel_tiling/kernel_tiling.h"

namespace AscendC {

/// The height and width of a matrix to pad, and how many of its columns count.
template <class Shape>
void PadTilingFunc(const Shape& srcShape, const Shape& oriSrcShape,
                   std::uint32_t /*stackBufferSize*/, std::uint32_t /*typeSize*/,
                   ::PadTiling& tiling) {
    tiling.srcHeight = static_cast<std::uint32_t>(srcShape.GetDim(0));
    tiling.srcWidth = static_cast<std::uint32_t>(srcShape.GetDim(1));
    tiling.srcOriWidth = static_cast<std::uint32_t>(oriSrcShape.GetDim(1));
}
template <class Shape>
void UnPadTilingFunc(const Shape& srcShape, std::uint32_t /*stackBufferSize*/,
                     std::uint32_t /*typeSize*/, ::UnPadTiling& tiling) {
    tiling.srcHeight = static_cast<std::uint32_t>(srcShape.GetDim(0));
    tiling.srcWidth = static_cast<std::uint32_t>(srcShape.GetDim(1));
}

/// The lengths of [B, N, S, H / N], or 1, 1 and those of a matrix.
template <class Shape>
void GetTransposeTilingInfo(const Shape& srcShape, std::uint32_t /*stackBufferSize*/,
                            std::uint32_t /*typeSize*/, std::uint32_t /*transposeTypeIn*/,
                            ::ConfusionTransposeTiling& tiling) {
    const std::size_t axes = srcShape.GetDimNum();
    const auto length = [&](std::size_t from_last) {
        return axes < from_last ? 1U
                                : static_cast<std::uint32_t>(srcShape.GetDim(axes - from_last));
    };
    tiling.param0 = length(4);
    tiling.param1 = length(3);
    tiling.param2 = length(2);
    tiling.param3 = length(1);
}
template <class Shape>
void GetConfusionTransposeTilingInfo(const Shape& srcShape, std::uint32_t stackBufferSize,
                                     std::uint32_t typeSize, std::uint32_t transposeTypeIn,
                                     ::ConfusionTransposeTiling& tiling) {
    GetTransposeTilingInfo(srcShape, stackBufferSize, typeSize, transposeTypeIn, tiling);
}
template <class Shape>
void GetConfusionTransposeOnlyTilingInfo(const Shape& srcShape, std::uint32_t stackBufferSize,
                                         std::uint32_t typeSize,
                                         ::ConfusionTransposeTiling& tiling) {
    GetTransposeTilingInfo(srcShape, stackBufferSize, typeSize, 7, tiling);
}

}  // namespace AscendC
