// TransData: images and filters between NCDHW and the formats of the cube unit.
#pragma once

#include <vector>

#include "ascendc/layout.h"
#include "ascendc/tensor.h"

namespace AscendC {

struct TransDataConfig {
    DataFormat srcFormat;
    DataFormat dstFormat;
};

template <class T, class U>
struct TransDataParams {
    T srcLayout;
    U dstLayout;
};

}  // namespace AscendC

namespace aicore {

constexpr std::uint64_t image_block = 16;  // C0 and N0 of elements of 2 bytes

inline std::uint64_t image_blocks(std::uint64_t elements) {
    return (elements + image_block - 1) / image_block;
}

/// The lengths of NCDHW, and where an element lies in each format.
struct ImageShape {
    std::uint64_t n, c, d, h, w;

    /// Rows of H * W elements are multiples of 32 bytes.
    std::uint64_t row() const { return image_blocks(h * w) * image_block; }
    std::uint64_t plain_elements() const { return n * c * d * row(); }
    std::uint64_t elements(AscendC::DataFormat format) const {
        const std::uint64_t channels = image_blocks(c) * image_block;
        const bool filter = format == AscendC::DataFormat::FRACTAL_Z_3D;
        return (filter ? image_blocks(n) * image_block : n) * d * channels * h * w;
    }
    std::uint64_t place(AscendC::DataFormat format, std::uint64_t image, std::uint64_t channel,
                        std::uint64_t depth, std::uint64_t point) const {
        const std::uint64_t group = channel / image_block;
        if (format == AscendC::DataFormat::FRACTAL_Z_3D) {  // D, C1, H, W, N1, N0, C0
            const std::uint64_t images = image_blocks(n) * image_block;
            return (((depth * image_blocks(c) + group) * h * w + point) * images + image) *
                       image_block +
                   channel % image_block;
        }
        return (((image * d + depth) * image_blocks(c) + group) * h * w + point) * image_block +
               channel % image_block;  // N, D, C1, H, W, C0
    }
};

template <class Layout, std::size_t... axes>
std::vector<std::uint64_t> lengths_of(const Layout& layout, std::index_sequence<axes...> /*axes*/) {
    return {static_cast<std::uint64_t>(std::get<axes>(layout.GetShape()))...};
}
template <class Layout>
std::vector<std::uint64_t> lengths_of(const Layout& layout) {
    using Shape = std::remove_cv_t<std::remove_reference_t<decltype(layout.GetShape())>>;
    return lengths_of(layout, std::make_index_sequence<std::tuple_size_v<Shape>>());
}

/// End the kernel unless the other layout belongs to the shape.
inline void require_layout(const ImageShape& shape, AscendC::DataFormat format,
                           const std::vector<std::uint64_t>& lengths, Site site) {
    const std::uint64_t channels = image_blocks(shape.c);
    const std::vector<std::uint64_t> wanted =
        format == AscendC::DataFormat::FRACTAL_Z_3D
            ? std::vector<std::uint64_t>{shape.d,
                                         channels,
                                         shape.h,
                                         shape.w,
                                         image_blocks(shape.n),
                                         image_block,
                                         image_block}
            : std::vector<std::uint64_t>{shape.n, shape.d, channels, shape.h, shape.w, image_block};
    if (lengths == wanted) {
        return;
    }
    const auto text = [](const std::vector<std::uint64_t>& axes) {
        std::string joined;
        for (const std::uint64_t axis : axes) {
            joined += (joined.empty() ? "" : ", ") + std::to_string(axis);
        }
        return "(" + joined + ")";
    };
    core->end("range",
              "TransData: the layouts must have the same axes: beside that of NCDHW, the other "
              "must be " +
                  text(wanted) + ", got " + text(lengths),
              site);
}

}  // namespace aicore

namespace AscendC {

/// Rearrange NCDHW into NDC1HWC0 or FRACTAL_Z_3D, or back. Channels and images that only fill up
/// a block of 16 become 0; what fills up H * W to 32 bytes becomes 0 as well, where a device leaves
/// anything.
template <const TransDataConfig& config, class T, class U, class S>
void TransData(const LocalTensor<T>& dstTensor, const LocalTensor<T>& srcTensor,
               const LocalTensor<std::uint8_t>& sharedTmpBuffer,
               const TransDataParams<U, S>& params, aicore::Site site = aicore::Site::here()) {
    constexpr bool packs = config.srcFormat == DataFormat::NCDHW;
    constexpr DataFormat packed = packs ? config.dstFormat : config.srcFormat;
    static_assert((packs || config.dstFormat == DataFormat::NCDHW) &&
                      (packed == DataFormat::NDC1HWC0 || packed == DataFormat::FRACTAL_Z_3D),
                  "TransData: config must be NCDHW to or from NDC1HWC0 or FRACTAL_Z_3D");
    static_assert(sizeof(T) == 2, "TransData takes elements of 2 bytes only");
    const aicore::Instruction instruction{"TransData", aicore::Pipe::v, site};
    const std::vector<std::uint64_t> source_lengths = aicore::lengths_of(params.srcLayout);
    const std::vector<std::uint64_t> target_lengths = aicore::lengths_of(params.dstLayout);
    const std::vector<std::uint64_t>& plain = packs ? source_lengths : target_lengths;
    if (plain.size() != 5) {
        aicore::core->end("range", "TransData: the layout of NCDHW must have 5 axes", site);
    }
    const aicore::ImageShape shape{plain[0], plain[1], plain[2], plain[3], plain[4]};
    aicore::require_layout(shape, packed, packs ? target_lengths : source_lengths, site);
    const std::uint64_t in_packed = shape.elements(packed);
    const std::uint64_t sources = packs ? shape.plain_elements() : in_packed;
    const std::uint64_t targets = packs ? in_packed : shape.plain_elements();
    srcTensor.use(instruction, 0, sources * sizeof(T), false);
    sharedTmpBuffer.use(instruction, 0, sharedTmpBuffer.GetSize(), true);
    dstTensor.use(instruction, 0, targets * sizeof(T), true);
    const std::vector<T> source(srcTensor.data(), srcTensor.data() + sources);
    std::fill_n(dstTensor.data(), targets, T(0));
    for (std::uint64_t line = 0; line < shape.n * shape.c * shape.d; ++line) {
        for (std::uint64_t point = 0; point < shape.h * shape.w; ++point) {
            const std::uint64_t at = line * shape.row() + point;
            const std::uint64_t other = shape.place(
                packed, line / shape.d / shape.c, line / shape.d % shape.c, line % shape.d, point);
            dstTensor.data()[packs ? other : at] = source[packs ? at : other];
        }
    }
}
template <const TransDataConfig& config, class T, class U, class S>
void TransData(const LocalTensor<T>& dstTensor, const LocalTensor<T>& srcTensor,
               const TransDataParams<U, S>& params, aicore::Site site = aicore::Site::here()) {
    TransData<config, T, U, S>(dstTensor, srcTensor, LocalTensor<std::uint8_t>(), params, site);
}

}  // namespace AscendC
