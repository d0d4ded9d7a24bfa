// Quantization with scales that are computed from the values.
#include "emulator/ops/checks.h"
#include "emulator/ops/groups.h"
#include "emulator/ops/quantization/quantized.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

/// Each row times the smooth scales of its group.
Tensor smoothed(const Tensor& x, const Tensor& smooth, const Tensor& group_index) {
    Tensor wide = x.to_float();
    if (!smooth.defined()) {
        require(!group_index.defined(), "smoothScales must be given with groupIndex");
        return wide;
    }
    if (!group_index.defined()) {
        return wide * smooth.to_float();
    }
    const Tensor flat = wide.reshape({-1, x.size(-1)});
    const Groups groups = groups_of(group_index, static_cast<Int>(GroupList::ends), flat.size(0));
    require(rows_in(groups) == flat.size(0), "groupIndex must end at the number of rows of x, " +
                                                 std::to_string(flat.size(0)) + ", got " +
                                                 std::to_string(rows_in(groups)));
    const Tensor factors = aten("index_select", smooth.to_float(), 0, group_of_each_row(groups));
    return (flat * factors).reshape(x.sizes());
}

/// The dimensions over which one scale is shared.
IntList shared_dimensions(const Tensor& x, const String& mode) {
    if (mode == "pertoken") {
        return {-1};
    }
    if (mode == "perchannel") {
        return {-2};
    }
    require(mode == "pertensor",
            "quantMode must be pertoken, pertensor or perchannel, got " + mode);
    IntList all;
    for (Int i = 0; i < x.dim(); ++i) {
        all.push_back(i);
    }
    return all;
}

void dynamic_quant(const Tensor& x, const Tensor& smooth, const Tensor& group_index,
                   bool is_symmetrical, const String& mode, const Out& y, const Out& scale,
                   const Out& offset) {
    check_quantized_dtype("y", y.tensor.dtype());
    require(is_symmetrical || offset.defined(), "offset must be given if isSymmetrical is false");
    const IntList dims = shared_dimensions(x, mode);
    require(mode == "pertoken" || !group_index.defined(),
            "groupIndex must be null unless quantMode is pertoken");
    const Range range = range_of(y.tensor.dtype());
    const Tensor values = smoothed(
        x, mode == "perchannel" && smooth.defined() ? column(smooth) : smooth, group_index);
    const Tensor top = aten("amax", is_symmetrical ? aten("abs", values) : values, dims, true);
    if (is_symmetrical) {
        const Tensor factor = top / range.max;
        scale = factor.reshape(scale.tensor.sizes());
        store_quantized(y, values / factor);
        return;
    }
    const Tensor factor = (top - aten("amin", values, dims, true)) / (range.max - range.min);
    const Tensor shift = -(top / factor) + range.max;
    scale = factor.reshape(scale.tensor.sizes());
    offset = shift.reshape(offset.tensor.sizes());
    store_quantized(y, values / factor + shift);
}

}  // namespace

ACLNN_CHECKED(aclnnDynamicQuant, Tensor x, Optional<Tensor> smooth, Out y, Out scale) {
    dynamic_quant(x, smooth, {}, true, "pertoken", y, scale, {});
}
// dstType is the dtype of y.
ACLNN_CHECKED(aclnnDynamicQuantV2, Tensor x, Optional<Tensor> smooth, Optional<Tensor> group_index,
              Unused<Int>, Out y, Out scale, Optional<Out> offset) {
    dynamic_quant(x, smooth, group_index, !offset.defined(), "pertoken", y, scale, offset);
}
ACLNN_CHECKED(aclnnDynamicQuantV3, Tensor x, Optional<Tensor> smooth, Optional<Tensor> group_index,
              Unused<Int>, bool is_symmetrical, String mode, Out y, Out scale,
              Optional<Out> offset) {
    dynamic_quant(x, smooth, group_index, is_symmetrical, mode, y, scale, offset);
}
// dstTypeMax concerns hifloat8 alone.
ACLNN_CHECKED(aclnnDynamicQuantV4, Tensor x, Optional<Tensor> smooth, Optional<Tensor> group_index,
              Unused<Int>, bool is_symmetrical, String mode, Unused<float>, Out y, Out scale,
              Optional<Out> offset) {
    dynamic_quant(x, smooth, group_index, is_symmetrical, mode, y, scale, offset);
}

ACLNN(aclnnGeluQuant, Tensor x, Optional<Tensor> scale, Optional<Tensor> offset, String approximate,
      String quant_mode, String round_mode, Unused<Int>, Out y, Optional<Out> out_scale) {
    Tensor values = aten("gelu", x.to_float(), approximate);
    if (scale.defined()) {
        values = values * scale.to_float();
    }
    if (quant_mode == "dynamic") {
        const DynamicQuantized found = quantize_rows(values, y.tensor.dtype());
        out_scale = found.scale;
        store_quantized(y, found.values, round_mode);
        return;
    }
    require(quant_mode == "static" && scale.defined(),
            "quantMode must be dynamic, or static with inputScale, got " + quant_mode);
    store_quantized(y, offset.defined() ? values + offset.to_float() : values, round_mode);
}

namespace {

/// Write the quantized updates [batch, length, n] into self, from each index on along the dimension
/// before the last.
void quant_scatter(const InOut& self, const Tensor& indices, const Tensor& updates,
                   const Tensor& scales, const Tensor& zero_points, Int axis, Int quant_axis,
                   Int reduction, const String& round_mode) {
    const Int rank = updates.dim();
    require(axis == -2 || axis == rank - 2, "axis must be -2, got " + std::to_string(axis));
    require(quant_axis == -1 || quant_axis == rank - 1,
            "quantAxis must be -1, got " + std::to_string(quant_axis));
    require(reduction == 1, "reduction must be 1, got " + std::to_string(reduction));
    Tensor values = updates.to_float() / scales.to_float().reshape({-1});
    if (zero_points.defined()) {
        values = values + zero_points.to_float().reshape({-1});
    }
    const IntList starts = integers_of(indices);
    const Int length = updates.size(-2);
    for (std::size_t i = 0; i < starts.size(); ++i) {
        const auto at = static_cast<Int>(i);
        require(starts[i] >= 0 && starts[i] + length <= self.tensor.size(-2),
                "indices must be 0 to " + std::to_string(self.tensor.size(-2) - length) + ", got " +
                    std::to_string(starts[i]));
        const Tensor target = aten("slice.Tensor", aten("select.int", self.tensor, 0, at), -2,
                                   starts[i], starts[i] + length);
        store_quantized({target, self.parameter}, aten("select.int", values, 0, at), round_mode);
    }
}

}  // namespace

ACLNN(aclnnInplaceQuantScatter, InOut self, Tensor indices, Tensor updates, Tensor scales,
      Optional<Tensor> zero_points, Int axis, Int quant_axis, Int reduction) {
    quant_scatter(self, indices, updates, scales, zero_points, axis, quant_axis, reduction, "rint");
}
ACLNN(aclnnInplaceQuantScatterV2, InOut self, Tensor indices, Tensor updates, Tensor scales,
      Optional<Tensor> zero_points, Int axis, Int quant_axis, Int reduction, String round_mode) {
    quant_scatter(self, indices, updates, scales, zero_points, axis, quant_axis, reduction,
                  round_mode);
}

// x is quantized per row, or with the given scale.
ACLNN(aclnnQuantMatmulDequant, Tensor x, Tensor weight, Tensor weight_scale, Optional<Tensor> bias,
      Optional<Tensor> x_scale, REFUSED(Tensor, xOffset), Optional<Tensor> smooth, Unused<String>,
      bool transpose_weight, Out y) {
    const Tensor values = smoothed(x, smooth, {});
    Tensor factor =
        x_scale.defined() ? x_scale.to_float() : quantize_rows(values, DType::int8).scale;
    factor = factor.dim() == 1 && factor.numel() != 1 ? column(factor) : factor;
    const Tensor quantized = aten("clamp", aten("round", values / factor), -128.0, 127.0);
    const Tensor right = transpose_weight ? weight.transpose(-1, -2) : weight;
    Tensor product = aten("matmul", quantized.to(DType::float64), right.to(DType::float64));
    if (bias.defined()) {
        product = product + bias.to(DType::float64);
    }
    const Tensor scaled = product.to_float() * decode_scale(weight_scale);
    // An encoded weight scale already contains that of x.
    y = is_encoded_scale(weight_scale) ? scaled : scaled * factor;
}
