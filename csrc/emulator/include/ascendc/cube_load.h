// Loads into the cube unit's memories beyond LoadData in 2D: transposed, of images, of constants.
#pragma once

#include <vector>

#include "ascendc/move.h"

namespace AscendC {

struct LoadData2dTransposeParams {
    LoadData2dTransposeParams() = default;
    LoadData2dTransposeParams(std::uint16_t start, std::uint8_t repeats, std::uint16_t stride,
                              std::uint16_t gap, std::uint16_t fractal_gap, std::uint8_t mode = 0)
        : startIndex(start),
          repeatTimes(repeats),
          srcStride(stride),
          dstGap(gap),
          dstFracGap(fractal_gap),
          addrMode(mode) {}
    std::uint16_t startIndex = 0;
    std::uint8_t repeatTimes = 0;
    std::uint16_t srcStride = 0;
    std::uint16_t dstGap = 0;
    std::uint16_t dstFracGap = 0;
    std::uint8_t addrMode = 0;
};

template <class T>
struct LoadData3DParamsV2 {
    LoadData3DParamsV2() = default;
    LoadData3DParamsV2(const std::uint8_t pads[4], std::uint16_t height, std::uint16_t width,
                       std::uint16_t channels, std::uint16_t k_extension, std::uint16_t m_extension,
                       std::uint16_t k_start, std::uint16_t m_start, std::uint8_t stride_w,
                       std::uint8_t stride_h, std::uint8_t filter_w, std::uint8_t filter_h,
                       std::uint8_t dilation_w, std::uint8_t dilation_h, bool transposes,
                       bool small_k, T padding, bool wide = false, bool high = false,
                       bool matrix_control = false)
        : l1H(height),
          l1W(width),
          channelSize(channels),
          kExtension(k_extension),
          mExtension(m_extension),
          kStartPt(k_start),
          mStartPt(m_start),
          strideW(stride_w),
          strideH(stride_h),
          filterW(filter_w),
          filterH(filter_h),
          dilationFilterW(dilation_w),
          dilationFilterH(dilation_h),
          enTranspose(transposes),
          enSmallK(small_k),
          padValue(padding),
          filterSizeW(wide),
          filterSizeH(high),
          fMatrixCtrl(matrix_control) {
        std::copy_n(pads, 4, padList);
    }
    std::uint8_t padList[4] = {};
    std::uint16_t l1H = 0;
    std::uint16_t l1W = 0;
    std::uint16_t channelSize = 0;
    std::uint16_t kExtension = 0;
    std::uint16_t mExtension = 0;
    std::uint16_t kStartPt = 0;
    std::uint16_t mStartPt = 0;
    std::uint8_t strideW = 1;
    std::uint8_t strideH = 1;
    std::uint8_t filterW = 1;
    std::uint8_t filterH = 1;
    std::uint8_t dilationFilterW = 1;
    std::uint8_t dilationFilterH = 1;
    bool enTranspose = false;
    bool enSmallK = false;
    T padValue{};
    bool filterSizeW = false;
    bool filterSizeH = false;
    bool fMatrixCtrl = false;
};

struct IsResetLoad3dConfig {
    bool isSetFMatrix = true;
    bool isSetPadding = true;
};
constexpr IsResetLoad3dConfig IS_RESER_LOAD3D_DEFAULT_CONFIG{true, true};

enum class FmatrixMode : std::uint8_t { FMATRIX_LEFT = 0, FMATRIX_RIGHT = 1 };
constexpr std::int32_t PAD_SIZE = 4;

/// The image that LoadData (3D) takes if its configuration leaves out what its parameters say.
inline void SetFmatrix(std::uint16_t l1H, std::uint16_t l1W, const std::uint8_t padList[4],
                       const FmatrixMode& fmatrixMode, aicore::Site site = aicore::Site::here()) {
    aicore::core->require(l1H >= 1 && l1H <= 32767 && l1W >= 1 && l1W <= 32767, "range",
                          "SetFmatrix: l1H and l1W must be 1 to 32767", site);
    aicore::core->require(fmatrixMode == FmatrixMode::FMATRIX_LEFT, "range",
                          "SetFmatrix: fmatrixMode must be FMATRIX_LEFT", site);
    aicore::core->image_size = {l1H, l1W};
    std::copy_n(padList, PAD_SIZE, aicore::core->image_pads.begin());
}
/// What LoadData (3D) takes outside of the image if its configuration leaves out padValue.
template <class T>
void SetLoadDataPaddingValue(T padValue) {
    aicore::core->image_padding = 0;
    std::memcpy(&aicore::core->image_padding, &padValue, sizeof padValue);
}

template <class T>
struct InitConstValueParams {
    InitConstValueParams() = default;
    InitConstValueParams(std::uint16_t repeats, std::uint16_t blocks, std::uint16_t gap, T value)
        : repeatTimes(repeats), blockNum(blocks), dstGap(gap), initValue(value) {}
    InitConstValueParams(std::uint16_t repeats, T value) : repeatTimes(repeats), initValue(value) {}
    std::uint16_t repeatTimes = 0;
    std::uint16_t blockNum = 0;
    std::uint16_t dstGap = 0;
    T initValue{};
};

/// L1 to L0A or L0B, each square of elements transposed: 16 x 16, or 32 x 32 of one byte.
template <class T>
void LoadDataWithTranspose(const LocalTensor<T>& dst, const LocalTensor<T>& src,
                           const LoadData2dTransposeParams& params,
                           aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"LoadDataWithTranspose", aicore::Pipe::mte1, site};
    dst.require_aligned(instruction, 512);
    // A square is one fractal of 512 bytes, or two.
    constexpr std::uint32_t side = sizeof(T) == 1 ? 32 : 16;
    constexpr std::uint32_t columns = 32 / sizeof(T);  // of a fractal
    constexpr std::uint32_t parts = side * side * sizeof(T) / 512;
    constexpr std::uint32_t fractal = 512 / sizeof(T);
    for (std::uint32_t repeat = 0; repeat < params.repeatTimes; ++repeat) {
        const std::int32_t step = params.addrMode != 0 ? -static_cast<std::int32_t>(repeat)
                                                       : static_cast<std::int32_t>(repeat);
        const auto from = static_cast<std::uint32_t>(params.startIndex + step * params.srcStride) *
                          parts * fractal;
        src.use(instruction, from * sizeof(T), std::uint64_t{parts} * 512, false);
        T square[side][side];
        for (std::uint32_t part = 0; part < parts; ++part) {
            for (std::uint32_t index = 0; index < fractal; ++index) {
                // One byte: the fractals follow along the rows; four bytes: along the columns.
                const std::uint32_t row = index / columns + (sizeof(T) == 1 ? part * 16 : 0);
                const std::uint32_t column =
                    index % columns + (sizeof(T) == 4 ? part * columns : 0);
                square[row][column] = src.data()[from + part * fractal + index];
            }
        }
        for (std::uint32_t part = 0; part < parts; ++part) {
            const std::uint32_t to =
                (repeat * (1 + params.dstGap) + part * (1 + params.dstFracGap)) * fractal;
            dst.use(instruction, to * sizeof(T), 512, true);
            for (std::uint32_t index = 0; index < fractal; ++index) {
                const std::uint32_t row = index / columns + (sizeof(T) == 1 ? part * 16 : 0);
                const std::uint32_t column =
                    index % columns + (sizeof(T) == 4 ? part * columns : 0);
                dst.data()[to + index] = square[column][row];
            }
        }
    }
}

}  // namespace AscendC

namespace aicore {

/// An image in L1, in the format NC1HWC0, as the matrix of its windows: a row per place of the
/// filter, a column per channel group, point of the filter and channel.
template <class T>
class Windows {
  public:
    Windows(const Instruction& instruction, const LocalTensor<T>& image,
            const AscendC::LoadData3DParamsV2<T>& params)
        : instruction_(instruction), image_(image), params_(params) {
        filter_w_ = params.filterW + (params.filterSizeW ? 256 : 0);
        filter_h_ = params.filterH + (params.filterSizeH ? 256 : 0);
        const int reach = (filter_w_ - 1) * params.dilationFilterW + 1;
        across_ = (params.l1W + params.padList[0] + params.padList[1] - reach) / params.strideW + 1;
    }
    T at(std::uint32_t row, std::uint32_t column) const {
        constexpr int c0 = 32 / sizeof(T);
        const int point = static_cast<int>(column) / c0 % (filter_w_ * filter_h_);
        const int group = static_cast<int>(column) / c0 / (filter_w_ * filter_h_);
        const int y = static_cast<int>(row) / across_ * params_.strideH - params_.padList[2] +
                      point / filter_w_ * params_.dilationFilterH;
        const int x = static_cast<int>(row) % across_ * params_.strideW - params_.padList[0] +
                      point % filter_w_ * params_.dilationFilterW;
        if (x < 0 || y < 0 || x >= params_.l1W || y >= params_.l1H) {
            return params_.padValue;
        }
        const auto index = static_cast<std::uint32_t>(
            ((group * params_.l1H + y) * params_.l1W + x) * c0 + static_cast<int>(column) % c0);
        image_.use(instruction_, index * sizeof(T), sizeof(T), false);
        return image_.data()[index];
    }

  private:
    const Instruction& instruction_;
    const LocalTensor<T>& image_;
    const AscendC::LoadData3DParamsV2<T>& params_;
    int filter_w_;
    int filter_h_;
    int across_;
};

/// The parameters, with what the configuration takes from SetFmatrix and SetLoadDataPaddingValue.
template <class T>
AscendC::LoadData3DParamsV2<T> with_registers(AscendC::LoadData3DParamsV2<T> params,
                                              bool sets_image, bool sets_padding) {
    if (!sets_image) {
        params.l1H = core->image_size[0];
        params.l1W = core->image_size[1];
        std::copy_n(core->image_pads.begin(), AscendC::PAD_SIZE, params.padList);
    }
    if (!sets_padding) {
        std::memcpy(&params.padValue, &core->image_padding, sizeof params.padValue);
    }
    return params;
}

}  // namespace aicore

namespace AscendC {

/// L1 to L0A or L0B: the windows of an image (im2col), from (mStartPt, kStartPt) on.
template <class T, const IsResetLoad3dConfig& config = IS_RESER_LOAD3D_DEFAULT_CONFIG>
void LoadData(const LocalTensor<T>& dst, const LocalTensor<T>& src,
              const LoadData3DParamsV2<T>& loadDataParams,
              aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"LoadData (3D)", aicore::Pipe::mte1, site};
    const LoadData3DParamsV2<T> params =
        aicore::with_registers<T>(loadDataParams, config.isSetFMatrix, config.isSetPadding);
    dst.require_aligned(instruction, 512);
    constexpr std::uint32_t c0 = 32 / sizeof(T);
    const bool to_b = aicore::space_of(dst.position()) == aicore::Space::l0b;
    if ((to_b || params.enTranspose) && sizeof(T) != 2) {
        aicore::core->end("unsupported",
                          "LoadData (3D): a transposed load needs elements of 2 bytes on the "
                          "emulated core",
                          site);
    }
    if (params.l1H == 0 || params.l1W == 0 || params.channelSize == 0) {
        return;
    }
    const aicore::Windows<T> windows(instruction, src, params);
    const std::uint32_t rows = (params.mExtension + 15U) / 16;
    const std::uint32_t columns = (params.kExtension + c0 - 1) / c0;
    for (std::uint32_t m = 0; m < rows; ++m) {
        for (std::uint32_t k = 0; k < columns; ++k) {
            const std::uint32_t at = params.enTranspose && !to_b ? k * rows + m : m * columns + k;
            T* const fractal = dst.data() + at * 16 * c0;
            dst.use(instruction, std::uint64_t{at} * 512, 512, true);
            for (std::uint32_t index = 0; index < 16 * c0; ++index) {
                const std::uint32_t row = index / c0;
                const std::uint32_t column = index % c0;
                const bool inside = m * 16 + row < params.mExtension;
                const T value = inside ? windows.at(params.mStartPt + m * 16 + row,
                                                    params.kStartPt + k * c0 + column)
                                       : T(0);
                fractal[to_b || params.enTranspose ? column * 16 + row : index] = value;
            }
        }
    }
}

/// Fill L1, L0A or L0B with one value: blocks of 32 bytes in L1, of 512 bytes in L0.
template <class T>
void Fill(const LocalTensor<T>& dst, const InitConstValueParams<T>& params,
          aicore::Site site = aicore::Site::here()) {
    const bool to_l1 = aicore::space_of(dst.position()) == aicore::Space::l1;
    const aicore::Instruction instruction{"Fill", to_l1 ? aicore::Pipe::mte2 : aicore::Pipe::mte1,
                                          site};
    const std::uint32_t unit = to_l1 ? 32 : 512;
    const std::uint32_t blocks = params.blockNum == 0 ? 1 : params.blockNum;
    for (std::uint32_t repeat = 0; repeat < params.repeatTimes; ++repeat) {
        const std::uint64_t begin = std::uint64_t{repeat} * (blocks + params.dstGap) * unit;
        dst.use(instruction, begin, std::uint64_t{blocks} * unit, true);
        std::fill_n(reinterpret_cast<T*>(reinterpret_cast<std::uint8_t*>(dst.data()) + begin),
                    blocks * unit / sizeof(T), params.initValue);
    }
}
template <class T>
void InitConstValue(const LocalTensor<T>& dst, const InitConstValueParams<T>& params,
                    aicore::Site site = aicore::Site::here()) {
    Fill(dst, params, site);
}

}  // namespace AscendC
