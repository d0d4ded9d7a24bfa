#include "emulator/ops/quantization/product.h"

#include <algorithm>

#include "emulator/ops/checks.h"
#include "emulator/ops/slices.h"

namespace ascend_emulator {
namespace {

bool is_integer(const Tensor& x) { return x.dtype() == DType::int32; }

Int ceil_div(Int a, Int b) { return (a + b - 1) / b; }

/// Repeat the entries of a dimension until each of `size` elements has its own.
Tensor spread(const Tensor& scale, Int dim, Int size, Int group) {
    const Int count = scale.size(dim);
    if (count == size || count == 1) {
        return scale;
    }
    const Int repeats = group > 1 ? group : ceil_div(size, count);
    return aten("repeat_interleave.self_int", scale, repeats, dim).narrow(dim, size);
}

/// Part of a groupSize, whose sizes have 16 bits each.
Int group_part(Int group_size, int shift) { return group_size >> shift & 0xFFFF; }

}  // namespace

Tensor quantized_operand(const Tensor& x, bool transposed) {
    const bool packed = x.dtype() == DType::int4 || x.dtype() == DType::int32;
    const Tensor values = packed ? unpack_int4(x) : x;
    return transposed ? values.transpose(-1, -2) : values;
}

Tensor exact_product(const Tensor& x1, const Tensor& x2) {
    const DType wide =
        is_float8(x1.dtype()) || is_float8(x2.dtype()) ? DType::float32 : DType::float64;
    return aten("matmul", x1.to(wide), x2.to(wide));
}

Tensor dequantized_product(const Tensor& x1, const Tensor& x2, const Dequantization& factors) {
    const Int m = x1.size(-2);
    const Int k = x1.size(-1);
    const Int n = x2.size(-1);
    Tensor right = decode_scale(factors.x2_scale);
    right = right.dim() == 1 ? aten("unsqueeze", right, 0) : right;
    right = spread(right, -1, n, group_part(factors.group_size, 16));
    Tensor left = factors.x1_scale;
    if (left.defined()) {
        left = left.dim() == 1 ? column(left) : left;
        left = spread(left, -2, m, group_part(factors.group_size, 32));
    }
    const Int blocks = std::max(right.size(-2), left.defined() ? left.size(-1) : 1);
    const Int given = group_part(factors.group_size, 0);
    const Int size = blocks == 1 ? k : given > 0 ? given : ceil_div(k, blocks);
    const bool has_integer_bias = factors.bias.defined() && is_integer(factors.bias);
    if (has_integer_bias && blocks > 1) {
        refuse("bias must be floating-point if the scales are of blocks, got int32");
    }
    Tensor total;
    for (Int i = 0; i < blocks; ++i) {
        const Int begin = i * size;
        const Int end = std::min(begin + size, k);
        const Tensor part = slice(x1, -1, begin, end);
        Tensor product = exact_product(part, slice(x2, -2, begin, end));
        if (has_integer_bias) {
            product = product + factors.bias.to(product.dtype());
        }
        if (factors.x2_offset.defined()) {
            const Tensor offset = aten("select.int", factors.x2_offset, -2, i).to(product.dtype());
            product = product - part.to(product.dtype()).sum({-1}, true) * offset;
        }
        Tensor scaled = product.to_float() * slice(right, -2, right.size(-2) == 1 ? 0 : i,
                                                   right.size(-2) == 1 ? 1 : i + 1);
        if (left.defined()) {
            const Int at = left.size(-1) == 1 ? 0 : i;
            scaled = scaled * slice(left, -1, at, at + 1).to_float();
        }
        total = total.defined() ? total + scaled : scaled;
    }
    if (factors.out_offset.defined()) {
        total = total + factors.out_offset.to_float();
    }
    return factors.bias.defined() && !has_integer_bias ? total + factors.bias.to_float() : total;
}

Tensor int8_by_int4_product(const Tensor& x1, const Tensor& x2, const Tensor& x2_scale,
                            const Tensor& correction, const Tensor& x1_scale) {
    Dequantization factors;
    factors.x2_scale = x2_scale;
    factors.out_offset = correction;
    Tensor product = dequantized_product(x1.to(DType::int16) - 8.0, x2, factors);
    if (!x1_scale.defined()) {
        return product;
    }
    return product * (x1_scale.dim() == 1 ? column(x1_scale) : x1_scale).to_float();
}

Tensor dequantized_weight(const Tensor& weight, const Tensor& scale, const Tensor& offset,
                          Int group_size) {
    Tensor values = quantized_operand(weight).to_float();
    const auto rows_of_weight = [&](const Tensor& factors) {
        const Tensor wide = decode_scale(factors);
        return wide.dim() < 2 ? wide : spread(wide, -2, values.size(-2), group_size);
    };
    if (offset.defined()) {
        values =
            values + (offset.dtype() == DType::int32 ? offset.to_float() : rows_of_weight(offset));
    }
    return values * rows_of_weight(scale);
}

void store_product(const Out& y, const Tensor& product) {
    if (y.defined() && y.tensor.dtype() == DType::int8) {
        store_quantized(y, product);
    } else {
        y = product;
    }
}

}  // namespace ascend_emulator
