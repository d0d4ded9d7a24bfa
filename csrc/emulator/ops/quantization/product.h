// Matrix products with quantized operands.
#pragma once

#include "emulator/ops/quantization/quantized.h"

namespace ascend_emulator {

/// An operand of a quantized product: int4 is unpacked, and the last two dimensions are exchanged
/// if `transposed`.
Tensor quantized_operand(const Tensor& x, bool transposed = false);

/// x1 @ x2, exact for integers (float64) and in float32 for float8.
Tensor exact_product(const Tensor& x1, const Tensor& x2);

/// The factors and summands of a quantized product. Those that are not given are undefined.
struct Dequantization {
    Tensor x1_scale;              // [m], or [m or its blocks, blocks of k]
    Tensor x2_scale;              // [n] or [1], or [blocks of k, n or its blocks]; may be encoded
    Tensor x2_offset;             // [blocks of k, n], of the weight
    Tensor out_offset;            // [n] or [1], added to the scaled product
    Tensor bias;                  // of integers: added to the product, before it is scaled
    std::int64_t group_size = 0;  // of k, n and m, 16 bits each; 0 follows from the scales
};

/// (x1 @ x2 + bias) * x2_scale * x1_scale, or without an integer bias, x1 @ x2 * x2_scale *
/// x1_scale
/// + bias, in float32. The operands are those of quantized_operand.
Tensor dequantized_product(const Tensor& x1, const Tensor& x2, const Dequantization& factors);

/// int8 times int4 as the cube unit computes it: ((x1 - 8) @ (x2 * x2_scale) + correction) *
/// x1_scale, whose caller passes 8 * sum(x2 * x2_scale) as the correction.
Tensor int8_by_int4_product(const Tensor& x1, const Tensor& x2, const Tensor& x2_scale,
                            const Tensor& correction, const Tensor& x1_scale);

/// (weight + offset) * scale in float32, for weights [k, n]. A scale [blocks, n] belongs to blocks
/// of `group_size` rows, or to as many as divide k if it is 0.
Tensor dequantized_weight(const Tensor& weight, const Tensor& scale, const Tensor& offset,
                          std::int64_t group_size);

/// Store a product; int8 is rounded and clamped.
void store_product(const Out& y, const Tensor& product);

}  // namespace ascend_emulator
