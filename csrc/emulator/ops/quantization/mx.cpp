#include "emulator/ops/quantization/mx.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "emulator/ops/checks.h"
#include "emulator/ops/quantization/quantized.h"
#include "emulator/ops/slices.h"

namespace ascend_emulator {
namespace {

constexpr int bias = 127;          // of a stored exponent
constexpr int not_a_number = 255;  // of a block that has an infinity or no number

/// The magnitudes of float4_e2m1 in the order of their codes.
constexpr float float4_magnitudes[] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6};

struct MxFormat {
    DType dtype;
    int exponent;  // of the largest number
    double max;
};

MxFormat mx_format(Int dst_type) {
    switch (dst_type) {
        case ACL_FLOAT8_E5M2:
            return {DType::float8_e5m2, 15, 57344};
        case ACL_FLOAT8_E4M3FN:
            return {DType::float8_e4m3fn, 8, 448};
        case ACL_FLOAT4_E2M1:
            return {DType::float4_e2m1, 2, 6};
        case ACL_FLOAT4_E1M2:
            not_emulated("dstType 41 (float4_e1m2)");
        default:
            refuse("dstType must be 35, 36, 40 or 41, got " + std::to_string(dst_type));
    }
}

int stored_exponent(float largest, const MxQuantization& how, const MxFormat& format) {
    if (!std::isfinite(largest)) {
        return not_a_number;
    }
    if (how.algorithm == static_cast<Int>(MxScale::exponent)) {
        return largest == 0 ? 0 : std::clamp(std::ilogb(largest) - format.exponent + bias, 0, 254);
    }
    const double bounded = std::max(static_cast<double>(largest), how.low_bound);
    const auto scale = static_cast<float>(bounded / (how.max > 0 ? how.max : format.max));
    std::uint32_t bits = 0;
    std::memcpy(&bits, &scale, sizeof bits);
    const auto exponent = static_cast<int>(bits >> 23);
    const std::uint32_t mantissa = bits & 0x7FFFFF;
    const bool is_quotient = how.algorithm == static_cast<Int>(MxScale::quotient);
    const bool rounds_up =
        exponent == 0 ? is_quotient && mantissa > 0x400000 : exponent < 254 && mantissa != 0;
    return exponent + (rounds_up ? 1 : 0);
}

float rounded_by_mode(float x, const String& mode) {
    return mode == "floor" ? std::floor(x) : mode == "round" ? std::round(x) : std::nearbyint(x);
}

/// The code of a float4_e2m1: its sign and the place of its magnitude.
std::int8_t float4_code(float x, const String& mode) {
    const float bounded = std::clamp(x, -6.0F, 6.0F);
    const float magnitude = std::fabs(bounded);
    const float step = magnitude < 2 ? 0.5F : magnitude < 4 ? 1.0F : 2.0F;
    const float value = std::clamp(rounded_by_mode(bounded / step, mode) * step, -6.0F, 6.0F);
    const float* place = std::lower_bound(std::begin(float4_magnitudes),
                                          std::end(float4_magnitudes), std::fabs(value));
    const auto code = static_cast<int>(place - std::begin(float4_magnitudes));
    return static_cast<std::int8_t>(code | (std::signbit(x) ? 8 : 0));
}

/// float4 codes in int8; 15 does not fit int4, so that they are those of its two's complement.
Tensor float4_codes(const Tensor& x, const String& mode) {
    const Tensor values = x.contiguous();
    const Tensor codes = full(values.sizes(), Scalar{std::int64_t{0}}, DType::int8);
    const auto* source = static_cast<const float*>(values.data());
    auto* target = static_cast<std::int8_t*>(codes.data());
    for (Int i = 0; i < values.numel(); ++i) {
        target[i] = float4_code(source[i], mode);
    }
    return codes;
}

Tensor float4_values(const Tensor& x) {
    const Tensor codes = unpack_int4(x).contiguous();  // -8 to 7
    const Tensor values = full(codes.sizes(), Scalar{0.0}, DType::float32);
    const auto* source = static_cast<const std::int8_t*>(codes.data());
    auto* target = static_cast<float*>(values.data());
    for (Int i = 0; i < codes.numel(); ++i) {
        const float magnitude = float4_magnitudes[source[i] & 7];
        target[i] = source[i] < 0 ? -magnitude : magnitude;
    }
    return values;
}

/// 2^(exponent - 127) of stored exponents.
Tensor scales_of(const Tensor& exponents) {
    const Tensor powers = aten("exp2", exponents.to(DType::float64) - bias);
    const Tensor invalid = aten("eq.Scalar", exponents, not_a_number);
    return aten("masked_fill.Scalar", powers, invalid, std::nan("")).to_float();
}

Int blocks_in(Int a, Int b) { return (a + b - 1) / b; }

/// The largest magnitude of each block along the last dimension.
Tensor largest_of_blocks(const Tensor& x, Int block) {
    const Int blocks = blocks_in(x.size(-1), block);
    IntList sizes = x.sizes();
    sizes.back() = blocks;
    sizes.push_back(block);
    const Tensor padded = aten("constant_pad_nd", aten("abs", x),
                               IntList{0, blocks * block - x.size(-1)}, Scalar{0.0});
    return aten("amax", padded.reshape(sizes), IntList{-1}, false);
}

/// Exponents of blocks, [.., blocks], as pairs, [.., pairs, 2]. Padding is 0.
Tensor paired(const Tensor& exponents) {
    const Int pairs = blocks_in(exponents.size(-1), 2);
    IntList sizes = exponents.sizes();
    sizes.back() = pairs;
    sizes.push_back(2);
    return aten("constant_pad_nd", exponents, IntList{0, 2 * pairs - exponents.size(-1)},
                Scalar{std::int64_t{0}})
        .reshape(sizes);
}

void store_exponents(const Out& scale, const Tensor& exponents) {
    if (scale.defined()) {
        scale = aten("view.dtype", exponents.contiguous(), DType::float8_e8m0);
    }
}

/// One number for each element of a dimension of `size`.
Tensor repeated_blocks(const Tensor& of_blocks, Int dim, Int block, Int size) {
    return aten("repeat_interleave.self_int", of_blocks, block, dim).narrow(dim, size);
}

}  // namespace

void MxQuantization::check(const Out& y) const {
    const MxFormat format = mx_format(dst_type);
    const bool is_float4 = format.dtype == DType::float4_e2m1;
    require(is_ascend950(), "the SoC must be an Ascend 950");
    require(y.tensor.dtype() == format.dtype, std::string("y must be ") + name_of(format.dtype) +
                                                  " for dstType " + std::to_string(dst_type) +
                                                  ", got " + name_of(y.tensor.dtype()));
    require(round_mode.empty() || round_mode == "rint" ||
                (is_float4 && (round_mode == "floor" || round_mode == "round")),
            "roundMode must be rint, or floor or round for float4, got " + round_mode);
    require(algorithm == 0 || algorithm == (is_float4 ? 2 : 1),
            "scaleAlg must be 0, 1 for float8 or 2 for float4, got " + std::to_string(algorithm));
    require(max == 0 || (algorithm == 2 && max >= 6 && max <= 12),
            "dstTypeMax must be 0, or 6 to 12 with scaleAlg 2");
    require(low_bound == 0 || (algorithm == 1 && low_bound > 0),
            "maxLowBound must be 0, or positive with scaleAlg 1");
    require(block > 0 && block % 32 == 0 && block <= 1024 && (algorithm != 2 || block == 32),
            "blocksize must be a multiple of 32 up to 1024, got " + std::to_string(block));
}

Tensor MxQuantization::exponents(const Tensor& largest) const {
    const MxFormat format = mx_format(dst_type);
    const Tensor values = largest.contiguous();
    const Tensor found = full(values.sizes(), Scalar{std::int64_t{0}}, DType::uint8);
    const auto* source = static_cast<const float*>(values.data());
    auto* target = static_cast<std::uint8_t*>(found.data());
    for (Int i = 0; i < values.numel(); ++i) {
        target[i] = static_cast<std::uint8_t>(stored_exponent(source[i], *this, format));
    }
    return found;
}

void MxQuantization::store(const Tensor& x, const Tensor& exponents, const Out& y) const {
    const MxFormat format = mx_format(dst_type);
    const Tensor quotients = aten("nan_to_num", x / scales_of(exponents), 0.0, 0.0, 0.0);
    if (format.dtype == DType::float4_e2m1) {
        y = aten("view.dtype", pack_int4(float4_codes(quotients, round_mode)), format.dtype);
    } else {
        y = aten("clamp", quotients, -format.max, format.max);
    }
}

void MxQuantization::run(const Tensor& x, Int axis, const Out& y, const Out& scale) const {
    require(axis >= -x.dim() && axis < x.dim(),
            "axis must be a dimension of x, got " + std::to_string(axis));
    const Int dim = axis < 0 ? axis + x.dim() : axis;
    const Tensor last = x.transpose(dim, -1);
    const Tensor found = exponents(largest_of_blocks(last, block));
    store(x, repeated_blocks(found, -1, block, last.size(-1)).transpose(dim, -1), y);
    // [.., pairs, 2] with the pairs in the place of the axis
    store_exponents(scale, paired(found).transpose(dim, x.dim() - 1));
}

void MxQuantization::run_groups(const Tensor& x, const IntList& ends, const Out& y,
                                const Out& scale) const {
    Int begin = 0;
    Int group = 0;
    for (const Int end : ends) {
        require(end >= begin && end <= x.size(0),
                "groupIndex must not decrease or exceed the rows of x, got " + std::to_string(end));
        // The place of a group's pairs leaves room for a partial pair of each group before it.
        const Int first = begin / (2 * block) + group++;
        const Int pairs = blocks_in(end - begin, 2 * block);
        if (pairs > 0) {
            run(rows(x, begin, end), 0, {rows(y.tensor, begin, end), y.parameter},
                {rows(scale.tensor, first, first + pairs), scale.parameter});
        }
        begin = end;
    }
}

void MxQuantization::run_squares(const Tensor& x, const Out& y, const Out& row_scale,
                                 const Out& column_scale) const {
    const Tensor of_rows = largest_of_blocks(x, block).transpose(-1, -2);
    const Tensor found = exponents(largest_of_blocks(of_rows, block));  // [.., columns, rows]
    const Tensor per_row = repeated_blocks(found, -1, block, x.size(-2));
    const Tensor per_column = repeated_blocks(found, -2, block, x.size(-1));
    store(x, repeated_blocks(per_row, -2, block, x.size(-1)).transpose(-1, -2), y);
    store_exponents(row_scale, paired(per_row.transpose(-1, -2)));
    store_exponents(column_scale, paired(per_column).transpose(-2, -3));
}

void MxQuantization::run_two_levels(const Tensor& x, DType dtype, const Out& y,
                                    const Out& outer_scale, const Out& scale) const {
    constexpr Int outer_block = 512;
    const Tensor largest = largest_of_blocks(x, outer_block);
    const Tensor outer = largest / mx_format(dst_type).max;
    const Tensor quotients = x / repeated_blocks(outer, -1, outer_block, x.size(-1));
    // A block of zeros has the scale 0, and its quotients are not numbers.
    const Tensor zeros =
        repeated_blocks(aten("eq.Scalar", largest, 0), -1, outer_block, x.size(-1));
    const Tensor finite = aten("masked_fill.Scalar", quotients, zeros, Scalar{0.0});
    run(finite.to(dtype).to_float(), -1, y, scale);
    outer_scale = outer;
}

Tensor from_mx(const Tensor& x, const Tensor& scale, Int axis, Int block) {
    const Tensor values = x.dtype() == DType::float4_e2m1 ? float4_values(x) : x.to_float();
    const Int dim = axis < 0 ? axis + values.dim() : axis;
    const Int pairs = blocks_in(values.size(dim), 2 * block);
    require(scale.dim() == values.dim() + 1 && scale.size(dim) == pairs,
            "the scales of sizes " + text_of(values.sizes()) + " must have " +
                std::to_string(pairs) + " pairs of blocks in dimension " + std::to_string(dim) +
                ", got sizes " + text_of(scale.sizes()));
    const Tensor bytes = aten("view.dtype", scale.contiguous(), DType::uint8);
    const Tensor last = bytes.transpose(dim, values.dim() - 1);
    IntList sizes = last.sizes();
    sizes.pop_back();
    sizes.back() *= 2;
    const Tensor factors =
        repeated_blocks(scales_of(last.reshape(sizes)), -1, block, values.size(dim));
    return values * factors.transpose(dim, -1);
}

Tensor mx_product(const Tensor& x1, const Tensor& x1_scale, const Tensor& x2,
                  const Tensor& x2_scale, bool transposes) {
    constexpr Int block = 32;
    const Tensor right = from_mx(x2, x2_scale, transposes ? -1 : -2, block);
    return aten("matmul", from_mx(x1, x1_scale, -1, block),
                transposes ? right.transpose(-1, -2) : right);
}

}  // namespace ascend_emulator
