// Microscaling formats (OCP MX): blocks of float8 or float4 with a power of two as their scale.
#pragma once

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

/// How the scale of a block follows from its largest magnitude: its exponent less that of the
/// dtype's largest number, or the power of two above the quotient of both.
enum class MxScale : std::int64_t { exponent = 0, quotient = 1, quotient_of_float4 = 2 };

struct MxQuantization {
    Int dst_type;
    Int algorithm;
    String round_mode;     // empty is rint
    double max = 0;        // the dtype's largest number, or 0 for its own
    double low_bound = 0;  // of a block's largest magnitude
    Int block = 32;

    /// Refuse what no device or the emulator does not compute, and a `y` of another dtype.
    void check(const Out& y) const;

    /// Quantize float32 along an axis. The scales are pairs of blocks: [.., pairs, .., 2].
    void run(const Tensor& x, Int axis, const Out& y, const Out& scale) const;
    /// The same for groups of rows along axis 0, whose blocks and pairs begin anew.
    void run_groups(const Tensor& x, const IntList& ends, const Out& y, const Out& scale) const;
    /// Blocks of 32 rows and 32 columns, whose scale is stored for each row and each column.
    void run_squares(const Tensor& x, const Out& y, const Out& row_scale,
                     const Out& column_scale) const;

    /// The same with a float32 scale for each 512 elements before: x divided by it is rounded to
    /// `dtype` and quantized along the last axis.
    void run_two_levels(const Tensor& x, DType dtype, const Out& y, const Out& outer_scale,
                        const Out& scale) const;

    /// The exponents that a device stores, from 0 to 255, of magnitudes in float32.
    Tensor exponents(const Tensor& largest) const;
    /// Store the quotients of x and 2^(exponent - 127).
    void store(const Tensor& x, const Tensor& exponents, const Out& y) const;
};

/// The values of a float4 or float8 tensor times their scales, in float32.
Tensor from_mx(const Tensor& x, const Tensor& scale, Int axis, Int block);

/// x1 @ x2 in float32, with blocks of 32 along k: x1 [.., m, k], x1_scale [.., m, pairs, 2], x2
/// [.., k, n], x2_scale [.., pairs, n, 2]; if `transposes`, x2 [.., n, k] and x2_scale
/// [.., n, pairs, 2].
Tensor mx_product(const Tensor& x1, const Tensor& x1_scale, const Tensor& x2,
                  const Tensor& x2_scale, bool transposes);

}  // namespace ascend_emulator
