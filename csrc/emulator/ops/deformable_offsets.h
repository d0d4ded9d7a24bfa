// The samples that a deformable convolution reads, and their gradients.
#pragma once

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

/// Where a deformable convolution reads. Each pair has the value of the height first.
struct DeformableOffsets {
    Int kernel[2];
    Int stride[2];
    Int padding[2];  // before the first row and column
    Int dilation[2];
    Int groups;  // of channels, each with its own offsets

    Int taps() const { return kernel[0] * kernel[1]; }

    /// Samples of x, [N, C, rows * kernel rows, columns * kernel columns]. `offsets` are
    /// [N, 3 * groups * taps, rows, columns]: those of columns, those of rows, and factors. All are
    /// float32 and contiguous.
    Tensor sample(const Tensor& x, const Tensor& offsets) const;

    struct Gradients {
        Tensor x;
        Tensor offsets;
    };
    Gradients gradients(const Tensor& grad, const Tensor& x, const Tensor& offsets) const;
};

}  // namespace ascend_emulator
