// Library functions that move the elements of a tensor in UB: Pad, UnPad, Transpose of a matrix.
#pragma once

#include <vector>

#include "ascendc/vector_data.h"
#include "ascendc/vector_engine.h"
#include "kernel_tiling/kernel_tiling.h"

namespace aicore {

/// `to[place(index)] = from[index]`, whatever overlaps.
template <class T, class Place>
void rearrange(const Instruction& instruction, const LocalTensor<T>& to, const LocalTensor<T>& from,
               std::uint64_t count, Place place) {
    require_vector_operand(instruction, from);
    require_vector_operand(instruction, to);
    from.use(instruction, 0, count * sizeof(T), false);
    to.use(instruction, 0, count * sizeof(T), true);
    const std::vector<T> source(from.data(), from.data() + count);
    for (std::uint64_t index = 0; index < count; ++index) {
        to.data()[place(index)] = source[index];
    }
}

/// Images [n, c, h * w] become [n, h * w, c], or the other way round.
template <class T, class Params>
void transpose_images(const LocalTensor<T>& dst, const LocalTensor<T>& src,
                      const LocalTensor<std::uint8_t>& buffer, const Params& params, bool to_last,
                      Site site) {
    const std::uint64_t channels = params.cSize;
    const std::uint64_t places = std::uint64_t{params.hSize} * params.wSize;
    const std::uint64_t count = params.nSize * channels * places;
    core->require(channels <= 4095 && places <= 4095, "range",
                  "Transpose: cSize and hSize * wSize must be at most 4095", site);
    core->require(places * sizeof(T) % 32 == 0, "alignment",
                  "Transpose: hSize * wSize elements must be a multiple of 32 bytes", site);
    if (count == 0) {
        return;
    }
    const std::uint64_t parts = to_last ? channels + 2 : channels * 2 + 1;
    const std::uint64_t needed = parts * (sizeof(T) == 1 ? 32 : 16) * 32;
    if (buffer.GetSize() < needed) {
        core->end("bounds",
                  "Transpose: sharedTmpBuffer must have " + std::to_string(needed) +
                      " bytes, got " + std::to_string(buffer.GetSize()),
                  site);
    }
    const Instruction instruction{"Transpose", Pipe::v, site};
    require_apart(instruction, dst, static_cast<std::uint32_t>(count), src,
                  static_cast<std::uint32_t>(count));
    const std::uint64_t rows = to_last ? channels : places;
    const std::uint64_t columns = to_last ? places : channels;
    rearrange(instruction, dst, src, count, [&](std::uint64_t index) {
        const std::uint64_t image = index / (rows * columns), within = index % (rows * columns);
        return image * rows * columns + within % columns * rows + within / columns;
    });
}

template <class T>
constexpr bool is_padded_type =
    std::is_same_v<T, std::int16_t> || std::is_same_v<T, std::uint16_t> ||
    std::is_same_v<T, half> || std::is_same_v<T, std::int32_t> ||
    std::is_same_v<T, std::uint32_t> || std::is_same_v<T, float>;

}  // namespace aicore

namespace AscendC {

struct PadParams {
    std::uint16_t leftPad = 0;
    std::uint16_t rightPad = 0;
    std::int32_t padValue = 0;
};
struct UnPadParams {
    std::uint16_t leftPad = 0;
    std::uint16_t rightPad = 0;
};

/// Widen rows to a multiple of 32 bytes, or, if they have one, overwrite their last columns.
template <class T>
void Pad(const LocalTensor<T>& dst, const LocalTensor<T>& src, const PadParams& params,
         const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, const PadTiling& tiling,
         aicore::Site site = aicore::Site::here()) {
    static_assert(aicore::is_padded_type<T>, "Pad has no instruction for this type");
    const aicore::Instruction instruction{"Pad", aicore::Pipe::v, site};
    constexpr std::uint32_t per_block = 32 / sizeof(T);
    const std::uint32_t rows = tiling.srcHeight;
    const std::uint32_t from_width = tiling.srcWidth;
    const std::uint32_t to_width = (from_width + per_block - 1) / per_block * per_block;
    const bool is_aligned = from_width == to_width;
    const std::uint32_t kept = is_aligned ? tiling.srcOriWidth : from_width;
    aicore::core->require(!is_aligned || (params.leftPad == 0 && kept < from_width), "range",
                          "Pad: rows of whole blocks can be padded on the right only, over columns "
                          "behind srcOriWidth",
                          site);
    if (params.leftPad + kept + params.rightPad > to_width) {
        aicore::core->end("range",
                          "Pad: the width must be at most " + std::to_string(to_width) +
                              ", a multiple of 32 bytes, got " +
                              std::to_string(params.leftPad + kept + params.rightPad),
                          site);
    }
    src.use(instruction, 0, std::uint64_t{rows} * from_width * sizeof(T), false);
    dst.use(instruction, 0, std::uint64_t{rows} * to_width * sizeof(T), true);
    const std::vector<T> source(src.data(), src.data() + std::uint64_t{rows} * from_width);
    for (std::uint32_t row = 0; row < rows; ++row) {
        T* const to = dst.data() + std::uint64_t{row} * to_width;
        const T* const from = source.data() + std::uint64_t{row} * from_width;
        std::fill_n(to, params.leftPad, static_cast<T>(params.padValue));
        std::copy_n(from, kept, to + params.leftPad);
        std::fill_n(to + params.leftPad + kept, params.rightPad, static_cast<T>(params.padValue));
    }
}
template <class T>
void Pad(const LocalTensor<T>& dst, const LocalTensor<T>& src, const PadParams& params,
         const PadTiling& tiling, aicore::Site site = aicore::Site::here()) {
    Pad<T>(dst, src, params, LocalTensor<std::uint8_t>(), tiling, site);
}

/// Remove the last columns of rows that are a multiple of 32 bytes.
template <class T>
void UnPad(const LocalTensor<T>& dst, const LocalTensor<T>& src, const UnPadParams& params,
           const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, const UnPadTiling& tiling,
           aicore::Site site = aicore::Site::here()) {
    static_assert(aicore::is_padded_type<T>, "UnPad has no instruction for this type");
    const aicore::Instruction instruction{"UnPad", aicore::Pipe::v, site};
    const std::uint32_t rows = tiling.srcHeight;
    const std::uint32_t width = tiling.srcWidth;
    aicore::core->require(width * sizeof(T) % 32 == 0, "alignment",
                          "UnPad: the width must be a multiple of 32 bytes", site);
    if (params.leftPad != 0 || params.rightPad * sizeof(T) >= 32) {
        aicore::core->end("range", "UnPad: leftPad must be 0, and rightPad less than 32 bytes",
                          site);
    }
    const std::uint32_t kept = width - params.rightPad;
    src.use(instruction, 0, std::uint64_t{rows} * width * sizeof(T), false);
    dst.use(instruction, 0, std::uint64_t{rows} * kept * sizeof(T), true);
    for (std::uint32_t row = 0; row < rows; ++row) {
        std::copy_n(src.data() + std::uint64_t{row} * width, kept,
                    dst.data() + std::uint64_t{row} * kept);
    }
}
template <class T>
void UnPad(const LocalTensor<T>& dst, const LocalTensor<T>& src, const UnPadParams& params,
           const UnPadTiling& tiling, aicore::Site site = aicore::Site::here()) {
    UnPad<T>(dst, src, params, LocalTensor<std::uint8_t>(), tiling, site);
}

enum class TransposeType : std::uint8_t {
    TRANSPOSE_TYPE_NONE,
    TRANSPOSE_NZ2ND_0213,
    TRANSPOSE_NZ2NZ_0213,
    TRANSPOSE_NZ2NZ_012_WITH_N,
    TRANSPOSE_NZ2ND_012_WITH_N,
    TRANSPOSE_NZ2ND_012_WITHOUT_N,
    TRANSPOSE_NZ2NZ_012_WITHOUT_N,
    TRANSPOSE_ND2ND_ONLY,
    TRANSPOSE_ND_UB_GM,
    TRANSPOSE_GRAD_ND_UB_GM,
    TRANSPOSE_ND2ND_B16,
    TRANSPOSE_NCHW2NHWC,
    TRANSPOSE_NHWC2NCHW,
    TRANSPOSE_ND2ND_021,
    TRANSPOSE_ND2ND_102,
    TRANSPOSE_ND2ND_210,
    TRANSPOSE_ND2NZ_WITH_INTLV
};

/// Transpose a matrix.
template <class T>
void Transpose(const LocalTensor<T>& dst, const LocalTensor<T>& src,
               const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, TransposeType type,
               const ConfusionTransposeTiling& tiling, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"Transpose", aicore::Pipe::v, site};
    // The tiling's parameters are the lengths of the axes.
    const std::array<std::uint64_t, 4> lengths{tiling.param0, tiling.param1, tiling.param2,
                                               tiling.param3};
    const auto [batches, heads, rows, columns] = lengths;
    const std::uint64_t count = batches * heads * rows * columns;
    if (type != TransposeType::TRANSPOSE_ND2ND_ONLY) {
        aicore::core->end("unsupported",
                          "Transpose: types other than TRANSPOSE_ND2ND_ONLY are not emulated",
                          site);
    }
    aicore::core->require(rows % 16 == 0 && columns % 16 == 0, "range",
                          "Transpose: the height and the width must be multiples of 16", site);
    aicore::rearrange(instruction, dst, src, count,
                      [&, height = rows, width = columns](std::uint64_t index) {
                          return index % width * height + index / width;
                      });
}
template <class T>
void Transpose(const LocalTensor<T>& dst, const LocalTensor<T>& src, TransposeType type,
               const ConfusionTransposeTiling& tiling, aicore::Site site = aicore::Site::here()) {
    Transpose<T>(dst, src, LocalTensor<std::uint8_t>(), type, tiling, site);
}
/// The name of Transpose in older versions of CANN.
template <class T>
void ConfusionTranspose(const LocalTensor<T>& dst, const LocalTensor<T>& src,
                        const LocalTensor<std::uint8_t>& sharedTmpBuffer, TransposeType type,
                        const ConfusionTransposeTiling& tiling,
                        aicore::Site site = aicore::Site::here()) {
    Transpose<T>(dst, src, sharedTmpBuffer, type, tiling, site);
}
template <class T>
void ConfusionTranspose(const LocalTensor<T>& dst, const LocalTensor<T>& src, TransposeType type,
                        const ConfusionTransposeTiling& tiling,
                        aicore::Site site = aicore::Site::here()) {
    Transpose<T>(dst, src, LocalTensor<std::uint8_t>(), type, tiling, site);
}

struct TransposeParamsExt {
    constexpr TransposeParamsExt() = default;
    constexpr TransposeParamsExt(std::uint16_t n, std::uint16_t c, std::uint16_t h, std::uint16_t w,
                                 TransposeType type)
        : nSize(n), cSize(c), hSize(h), wSize(w), transposeType(type) {}

    std::uint16_t nSize = 0;
    std::uint16_t cSize = 0;
    std::uint16_t hSize = 0;
    std::uint16_t wSize = 0;
    TransposeType transposeType = TransposeType::TRANSPOSE_ND2ND_B16;
};

/// Transpose 16 x 16 elements of 16 bits, or n images between channels first and channels last.
template <class T>
void Transpose(const LocalTensor<T>& dst, const LocalTensor<T>& src,
               const LocalTensor<std::uint8_t>& sharedTmpBuffer, const TransposeParamsExt& params,
               aicore::Site site = aicore::Site::here()) {
    static_assert(std::is_same_v<T, half> || std::is_same_v<T, float> ||
                      (std::is_integral_v<T> && sizeof(T) <= 4),
                  "Transpose of images has no instruction for this type");
    const bool to_last = params.transposeType == TransposeType::TRANSPOSE_NCHW2NHWC;
    if (params.transposeType == TransposeType::TRANSPOSE_ND2ND_B16) {
        aicore::core->require(std::is_same_v<T, std::uint16_t>, "dtype",
                              "Transpose: TRANSPOSE_ND2ND_B16 takes uint16_t only", site);
        aicore::core->require(params.hSize == 16 && params.wSize == 16, "range",
                              "Transpose: hSize and wSize of TRANSPOSE_ND2ND_B16 must be 16", site);
        if constexpr (sizeof(T) == 2) {
            Transpose<T>(dst, src, site);
        }
    } else if (to_last || params.transposeType == TransposeType::TRANSPOSE_NHWC2NCHW) {
        aicore::transpose_images(dst, src, sharedTmpBuffer, params, to_last, site);
    } else if (params.transposeType != TransposeType::TRANSPOSE_TYPE_NONE) {  // which does nothing
        aicore::core->end("unsupported",
                          "Transpose: TransposeParamsExt must have TRANSPOSE_ND2ND_B16, "
                          "TRANSPOSE_NCHW2NHWC or TRANSPOSE_NHWC2NCHW",
                          site);
    }
}

}  // namespace AscendC
