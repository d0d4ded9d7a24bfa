// SwiGLU between dequantization and quantization.
#include "emulator/ops/quantization/swiglu.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/groups.h"
#include "emulator/ops/quantization/product.h"

using namespace ascend_emulator;

namespace {

/// The parameters of each row: those of its group, or of all rows.
Tensor of_each_row(const Tensor& parameters, const Tensor& groups) {
    if (!parameters.defined()) {
        return {};
    }
    Tensor wide = parameters.dtype() == DType::int32 ? parameters : parameters.to_float();
    if (!groups.defined()) {
        return wide;
    }
    const Tensor selected = aten("index_select", wide, 0, groups);
    return wide.dim() == 1 ? column(selected) : selected;
}

struct Factors {
    Tensor weight_scale;
    Tensor activation_scale;
    Tensor bias;
    Tensor quant_scale;
    Tensor quant_offset;
    Tensor group_index;
};

Tensor dequantized(const Tensor& x, const Factors& given, const Tensor& groups) {
    if (x.dtype() != DType::int32) {
        return x.to_float();
    }
    require(given.weight_scale.defined(), "weightScale must be given if x is int32");
    const Tensor bias = of_each_row(given.bias, groups);
    const bool is_integer_bias = bias.defined() && bias.dtype() == DType::int32;
    Tensor values =
        (is_integer_bias ? x + bias : x).to_float() * of_each_row(given.weight_scale, groups);
    if (given.activation_scale.defined()) {
        values = values * given.activation_scale.to_float().reshape({-1, 1}).narrow(0, x.size(0));
    }
    return bias.defined() && !is_integer_bias ? values + bias : values;
}

bool is_dynamic(const String& mode) {
    require(mode.empty() || mode == "static" || mode == "dynamic",
            "quantMode must be static or dynamic, got " + mode);
    return mode == "dynamic";
}

/// Rows that belong to no group are not written.
void dequant_swiglu_quant(const Tensor& x, const Factors& given, const SwiGlu& swiglu,
                          const String& mode, const String& round_mode, const Out& y,
                          const Out& scale) {
    check_quantized_dtype("y", y.tensor.dtype());
    const bool dynamic = is_dynamic(mode);
    require(dynamic || given.quant_scale.defined(),
            "quantScale must be given if quantMode is static");
    const bool is_last = swiglu.dim == -1 || swiglu.dim == x.dim() - 1;
    require(is_last || (!dynamic && !given.group_index.defined() && x.dtype() != DType::int32),
            "activateDim must be -1 with groups, with int32 and with dynamic quantization");
    const Tensor flat = is_last ? x.reshape({-1, x.size(-1)}) : x;
    Tensor groups;
    Int count = flat.size(0);
    if (given.group_index.defined()) {
        const auto type =
            given.group_index.dim() == 2 ? GroupList::indexed_sizes : GroupList::sizes;
        const Groups found =
            groups_of(given.group_index.reshape({-1}), static_cast<Int>(type), flat.size(0));
        groups = group_of_each_row(found);
        count = rows_in(found);
    }
    const Tensor values = swiglu(dequantized(flat.narrow(0, count), given, groups));
    const Out target = first_rows(
        Out{is_last ? y.tensor.reshape({-1, y.tensor.size(-1)}) : y.tensor, y.parameter}, count);
    const Tensor factor = of_each_row(given.quant_scale, groups);
    if (dynamic) {
        const DynamicQuantized found =
            quantize_rows(factor.defined() ? values * factor : values, y.tensor.dtype());
        store_quantized(target, found.values, round_mode);
        first_rows(Out{scale.tensor.reshape({-1}), scale.parameter}, count) = found.scale;
        return;
    }
    const Tensor shift = of_each_row(given.quant_offset, groups);
    const Tensor quotient = values / factor;
    store_quantized(target, shift.defined() ? quotient + shift : quotient, round_mode);
}

}  // namespace

ACLNN_CHECKED(aclnnDequantSwigluQuant, Tensor x, Optional<Tensor> weight_scale,
              Optional<Tensor> activation_scale, Optional<Tensor> bias,
              Optional<Tensor> quant_scale, Optional<Tensor> quant_offset,
              Optional<Tensor> group_index, bool activates_left, String mode, Out y,
              Optional<Out> scale) {
    dequant_swiglu_quant(
        x, {weight_scale, activation_scale, bias, quant_scale, quant_offset, group_index},
        {activates_left}, mode, "rint", y, scale);
}
// dstType is the dtype of y.
ACLNN_CHECKED(aclnnDequantSwigluQuantV2, Tensor x, Optional<Tensor> weight_scale,
              Optional<Tensor> activation_scale, Optional<Tensor> bias,
              Optional<Tensor> quant_scale, Optional<Tensor> quant_offset,
              Optional<Tensor> group_index, bool activates_left, String mode, Unused<Int>,
              String round_mode, Int activate_dim, Int swiglu_mode, double limit, double alpha,
              double glu_bias, Out y, Optional<Out> scale) {
    dequant_swiglu_quant(
        x, {weight_scale, activation_scale, bias, quant_scale, quant_offset, group_index},
        {activates_left, activate_dim, swiglu_mode, limit, alpha, glu_bias}, mode, round_mode, y,
        scale);
}

namespace {

/// The quotient of the dtype's largest number and each row's, which the next product divides by.
void swiglu_quant(const Tensor& x, const Tensor& smooth, const Tensor& offsets,
                  const Tensor& group_index, bool activates_left, const String& mode, Int list_type,
                  DType dtype, const Out& y, const Out& scale) {
    const bool dynamic = is_dynamic(mode);
    const Tensor flat = x.reshape({-1, x.size(-1)});
    Tensor groups;
    Int count = flat.size(0);
    if (group_index.defined()) {
        require(list_type == 0 || list_type == 1,
                "groupListType must be 0 or 1, got " + std::to_string(list_type));
        const Groups found = groups_of(group_index, list_type, flat.size(0));
        groups = group_of_each_row(found);
        count = rows_in(found);
    }
    Tensor values = SwiGlu{activates_left}(flat.narrow(0, count).to_float());
    const Tensor factors = of_each_row(smooth, groups);
    values = factors.defined() ? values * factors : values;
    if (dynamic) {
        const DynamicQuantized found = quantize_rows(values, dtype);
        values = found.values;
        first_rows(Out{scale.tensor.reshape({-1}), scale.parameter}, count) =
            aten("reciprocal", found.scale);
    } else if (offsets.defined()) {
        values = values + of_each_row(offsets, groups);
    }
    Out target = first_rows(Out{y.tensor.reshape({-1, y.tensor.size(-1)}), y.parameter}, count);
    if (dtype == DType::int4 && y.tensor.dtype() == DType::int8) {
        target.tensor = aten("view.dtype", target.tensor, DType::int4);
    }
    store_quantized(target, values);
}

}  // namespace

ACLNN(aclnnSwiGluQuant, Tensor x, Optional<Tensor> smooth, Optional<Tensor> offsets,
      Optional<Tensor> group_index, bool activates_left, String mode, Out y, Optional<Out> scale) {
    swiglu_quant(x, smooth, offsets, group_index, activates_left, mode, 0, DType::int8, y, scale);
}
// int4 may come as int8, two per element.
ACLNN(aclnnSwiGluQuantV2, Tensor x, Optional<Tensor> smooth, Optional<Tensor> offsets,
      Optional<Tensor> group_index, bool activates_left, String mode, Int list_type, Int dst_type,
      Out y, Optional<Out> scale) {
    require(dst_type == ACL_INT8 || dst_type == ACL_INT4,
            "dstType must be 2 (int8) or 29 (int4), got " + std::to_string(dst_type));
    swiglu_quant(x, smooth, offsets, group_index, activates_left, mode, list_type,
                 dst_type == ACL_INT8 ? DType::int8 : DType::int4, y, scale);
}
