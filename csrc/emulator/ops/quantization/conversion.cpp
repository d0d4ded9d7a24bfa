// Quantization of a tensor, static and dynamic, and its inverse.
#include <bit>
#include <cmath>

#include "emulator/ops/checks.h"
#include "emulator/ops/quantization/quantized.h"

using namespace ascend_emulator;

namespace {

/// A tensor of one dimension along `axis` of x; others broadcast already.
Tensor along(const Tensor& factors, const Tensor& x, Int axis) {
    if (factors.dim() != 1) {
        return factors;
    }
    IntList sizes(static_cast<std::size_t>(x.dim()), 1);
    sizes[static_cast<std::size_t>(axis < 0 ? axis + x.dim() : axis)] = factors.numel();
    return factors.reshape(sizes);
}

/// Two functions take an int32 output for packed int4, and its dtype by number.
void check_destination(Int number, const Out& y) {
    const DType dtype = y.tensor.dtype();
    require((number == ACL_INT8 && dtype == DType::int8) ||
                (number == ACL_INT4 && dtype == DType::int4) ||
                (number == ACL_INT32 && dtype == DType::int32) ||
                (number == ACL_FLOAT8_E4M3FN && dtype == DType::float8_e4m3fn) ||
                (number == ACL_FLOAT8_E5M2 && dtype == DType::float8_e5m2),
            "dstType must be the dtype of y, " + std::string(name_of(dtype)) + ", got " +
                std::to_string(number));
    check_quantized_dtype("y", dtype);
}

void ascend_quant(const Tensor& x, const Tensor& scale, const Tensor& offset, bool sqrt_mode,
                  const String& round_mode, Int dst_type, Int axis, const Out& y) {
    check_destination(dst_type, y);
    require(axis >= -x.dim() && axis < x.dim(),
            "axis must be a dimension of x, got " + std::to_string(axis));
    const Tensor factor = along(scale.to_float(), x, axis);
    Tensor scaled = x.to_float() * factor;
    if (sqrt_mode) {
        scaled = scaled * factor;
    }
    if (offset.defined()) {
        scaled = scaled + along(offset.to_float(), x, axis);
    }
    store_quantized(y, scaled, round_mode);
}

}  // namespace

ACLNN_CHECKED(aclnnAscendQuant, Tensor x, Tensor scale, Optional<Tensor> offset, bool sqrt_mode,
              String round_mode, Int32 dst_type, Out y) {
    ascend_quant(x, scale, offset, sqrt_mode, round_mode, dst_type, -1, y);
}
ACLNN_CHECKED(aclnnAscendQuantV3, Tensor x, Tensor scale, Optional<Tensor> offset, bool sqrt_mode,
              String round_mode, Int32 dst_type, Int32 axis, Out y) {
    ascend_quant(x, scale, offset, sqrt_mode, round_mode, dst_type, axis, y);
}

// The dtype is that of y.
ACLNN(aclnnAscendAntiQuant, Tensor x, Tensor scale, Optional<Tensor> offset, Unused<Int>,
      bool sqrt_mode, Out y) {
    Tensor values = x.dtype() == DType::int32 ? unpack_int4(x).to_float() : real_values(x);
    // A scale of one dimension belongs to the last dimension of x, or to the one before it.
    const bool is_before_last = scale.dim() == 1 && scale.numel() != 1 &&
                                scale.numel() != values.size(-1) && values.dim() > 1;
    const Int axis = is_before_last ? -2 : -1;
    if (offset.defined()) {
        values = values + along(offset.to_float(), values, axis);
    }
    const Tensor factor = along(scale.to_float(), values, axis);
    y = sqrt_mode ? values * factor * factor : values * factor;
}

// Unlike the functions above, it divides, and int32 means int32.
ACLNN(aclnnQuantize, Tensor x, Tensor scales, Optional<Tensor> zero_points, DType dtype, Int32 axis,
      Out y) {
    require(dtype == y.tensor.dtype(), "dtype must be that of out, got " +
                                           std::string(name_of(dtype)) + " and " +
                                           name_of(y.tensor.dtype()));
    Tensor values = x.to_float() / along(scales.to_float(), x, axis);
    if (zero_points.defined()) {
        values = values + along(zero_points.to_float(), x, axis);
    }
    if (dtype == DType::int32) {
        y = aten("clamp", aten("round", values.to(DType::float64)), -2147483648.0, 2147483647.0);
    } else {
        store_quantized(y, values);
    }
}

ACLNN(aclnnDequantBias, Tensor x, Tensor weight_scale, Optional<Tensor> activate_scale,
      Optional<Tensor> bias, Unused<Int>, Out y) {
    const bool is_integer_bias = bias.defined() && bias.dtype() == DType::int32;
    Tensor values = (is_integer_bias ? x + bias : x).to_float() * weight_scale.to_float();
    if (activate_scale.defined()) {
        values = values * column(activate_scale);
    }
    y = bias.defined() && !is_integer_bias ? values + bias.to_float() : values;
}

// groupIndex holds the end of each group of rows.
ACLNN(aclnnGroupQuant, Tensor x, Tensor scale, Tensor group_index, Optional<Tensor> offset,
      Int32 dst_type, Out y) {
    check_destination(dst_type, y);
    const Tensor row = arange(x.size(0));
    const Tensor group =
        aten("searchsorted.Tensor", group_index.to(DType::int64).contiguous(), row, false, true);
    Tensor values = x.to_float() * aten("index_select", scale.to_float(), 0, group);
    if (offset.defined()) {
        values = values + offset.to_float();
    }
    store_quantized(y, values);
}

namespace {

/// Round to the 19 bits of a fixed-point unit's scale, ties to even.
std::uint32_t round_to_19_bits(std::uint32_t bits) {
    constexpr std::uint32_t dropped = 13;
    const std::uint32_t half = (1U << (dropped - 1)) - 1 + (bits >> dropped & 1U);
    return bits + half;
}

void encode_scale(const Tensor& scale, const Tensor& offset, bool rounds, const Out& out) {
    const Int count = std::max(scale.numel(), offset.defined() ? offset.numel() : 0);
    const Tensor factors = scale.to_float().contiguous();
    const Tensor shifts = offset.defined() ? offset.to_float().contiguous() : Tensor();
    Tensor codes = full({count}, Scalar{std::int64_t{0}}, DType::int64);
    auto* target = static_cast<std::uint64_t*>(codes.data());
    for (Int i = 0; i < count; ++i) {
        const auto at = [i](const Tensor& values) {
            return static_cast<const float*>(values.data())[values.numel() == 1 ? 0 : i];
        };
        auto bits = std::bit_cast<std::uint32_t>(at(factors));
        bits = rounds ? round_to_19_bits(bits) : bits;
        target[i] = (bits & 0xFFFFE000U) | std::uint64_t{1} << 46;
        if (offset.defined()) {
            const auto whole =
                static_cast<Int>(std::min(std::max(std::nearbyint(at(shifts)), -256.0F), 255.0F));
            target[i] |= static_cast<std::uint64_t>(whole & 0x1FF) << 37;
        }
    }
    out = aten("view.dtype", codes, out.tensor.dtype()).reshape(out.tensor.sizes());
}

}  // namespace

ACLNN(aclnnTransQuantParamV2, Tensor scale, Optional<Tensor> offset, Out out) {
    encode_scale(scale, offset, false, out);
}
ACLNN(aclnnTransQuantParamV3, Tensor scale, Optional<Tensor> offset, Int round_mode, Out out) {
    require(round_mode == 0 || round_mode == 1,
            "roundMode must be 0 or 1, got " + std::to_string(round_mode));
    encode_scale(scale, offset, round_mode == 1, out);
}

// Each int32 holds one int4 in its low bits.
ACLNN(aclnnConvertWeightToINT4Pack, Tensor weight, Out packed) {
    packed = aten("view.dtype", pack_int4(weight), packed.tensor.dtype());
}

ACLNN(aclnnFakeQuantPerTensorAffineCachemask, Tensor x, Tensor scale, Tensor zero_point,
      float fake_quant_enabled, Int quant_min, Int quant_max, Out y, Out mask) {
    const TensorList found =
        aten_all("_fake_quantize_per_tensor_affine_cachemask_tensor_qparams", x.to_float(),
                 scale.to_float(), zero_point.to(DType::int32),
                 full({1}, Scalar{double{fake_quant_enabled}}, DType::int64), quant_min, quant_max);
    y = found[0];
    mask = found[1];
}
ACLNN(aclnnFakeQuantPerChannelAffineCachemask, Tensor x, Tensor scale, Tensor zero_point, Int axis,
      Int quant_min, Int quant_max, Out y, Out mask) {
    const TensorList found =
        aten_all("fake_quantize_per_channel_affine_cachemask", x.to_float(), scale.to_float(),
                 zero_point.to(DType::int32), axis, quant_min, quant_max);
    y = found[0];
    mask = found[1];
}
