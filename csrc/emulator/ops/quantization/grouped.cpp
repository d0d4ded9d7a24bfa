// Grouped products with what follows them: SwiGLU and quantization, the combination of experts, or
// an addition.
#include "emulator/ops/checks.h"
#include "emulator/ops/groups.h"
#include "emulator/ops/quantization/product.h"

using namespace ascend_emulator;

namespace {

/// The weights of one expert and their factors.
struct Expert {
    Tensor weight;
    Tensor scale;
    Tensor correction;  // for int8 by int4
};

Tensor part(const Tensor& all, Int index) {
    return all.defined() ? aten("select.int", all, 0, index) : all;
}

/// A member of a list, or a part of its only tensor.
Tensor part(const TensorList& all, Int index) {
    if (all.empty() || !all.front().defined()) {
        return {};
    }
    return all.size() == 1 ? part(all.front(), index) : all.at(static_cast<std::size_t>(index));
}

/// A matrix [k, n]. The functions WeightNz also take its blocks as a tensor of format ND,
/// [n / c0, k / 16, 16, c0].
Tensor without_blocks(const Tensor& matrix) {
    if (matrix.dim() != 4) {
        return matrix;
    }
    return matrix.permute({1, 2, 0, 3})
        .reshape({matrix.size(1) * matrix.size(2), matrix.size(0) * matrix.size(3)});
}

/// (x @ weight) * scale * x_scale for the rows of a group.
Tensor scaled_product(const Tensor& x, const Expert& expert, const Tensor& x_scale) {
    const Tensor left = quantized_operand(x);
    const Tensor right = without_blocks(quantized_operand(expert.weight));
    if (x.dtype() == DType::int8 && expert.weight.dtype() != DType::int8) {
        require(expert.correction.defined(),
                "the matrix 8 * sum(weight * scale) must be given for int8 by int4");
        return int8_by_int4_product(left, right, expert.scale, expert.correction, x_scale);
    }
    Dequantization factors;
    factors.x1_scale = x_scale;
    factors.x2_scale = expert.scale;
    return dequantized_product(left, right, factors);
}

struct SwigluQuant {
    TensorList weight;
    TensorList weight_scale;
    TensorList correction;
    Tensor smooth;  // [experts, n / 2] or [experts]

    void run(const Tensor& x, const Tensor& x_scale, const Tensor& group_list, Int list_type,
             const Out& y, const Out& y_scale) const {
        const Groups groups = groups_of(group_list, list_type, x.size(0));
        TensorList parts;
        for (const Group& group : groups) {
            const Tensor product =
                scaled_product(rows(x, group.begin, group.end),
                               {part(weight, group.index), part(weight_scale, group.index),
                                part(correction, group.index)},
                               rows(x_scale, group.begin, group.end));
            const TensorList halves = aten_all("chunk", product, 2, -1);
            const Tensor gated = aten("silu", halves[0]) * halves[1];
            parts.push_back(smooth.defined() ? gated * part(smooth, group.index).to_float()
                                             : gated);
        }
        const DynamicQuantized found = quantize_rows(aten("cat", parts, 0), y.tensor.dtype());
        store_quantized(first_rows(y, rows_in(groups)), found.values);
        first_rows(y_scale, rows_in(groups)) = found.scale;
    }
};

}  // namespace

// bias is the correction for int8 by int4.
#define SWIGLU_QUANT(NAME)                                                                  \
    ACLNN(NAME, Tensor x, Tensor weight, Optional<Tensor> bias, REFUSED(Tensor, offset),    \
          Tensor weight_scale, Tensor x_scale, Tensor group_list, Out y, Out y_scale,       \
          Unused<Out>) {                                                                    \
        SwigluQuant{{weight}, {weight_scale}, {bias}, {}}.run(x, x_scale, group_list, 0, y, \
                                                              y_scale);                     \
    }
SWIGLU_QUANT(aclnnGroupedMatmulSwigluQuant)
SWIGLU_QUANT(aclnnGroupedMatmulSwigluQuantWeightNZ)
// dequantMode 0 and 1, a scale per channel or per group, follow from the shape of the scale.
// dequantDtype and tuningConfig are hints.
#define SWIGLU_QUANT_V2(NAME)                                                                      \
    ACLNN_CHECKED(NAME, Tensor x, Tensors weight, Tensors weight_scale,                            \
                  Optional<Tensors> correction, REFUSED(Tensor, bias), Tensor x_scale,             \
                  Optional<Tensor> smooth_scale, Tensor group_list, Int dequant_mode, Unused<Int>, \
                  REFUSED(Int, quantMode), Int list_type, Unused<Ints>, Out y, Out y_scale) {      \
        if (dequant_mode != 0 && dequant_mode != 1) {                                              \
            not_emulated("dequantMode " + std::to_string(dequant_mode));                           \
        }                                                                                          \
        SwigluQuant{weight, weight_scale, correction, smooth_scale}.run(x, x_scale, group_list,    \
                                                                        list_type, y, y_scale);    \
    }
SWIGLU_QUANT_V2(aclnnGroupedMatmulSwigluQuantV2)
SWIGLU_QUANT_V2(aclnnGroupedMatmulSwigluQuantWeightNzV2)

namespace {

/// The rows of the experts, weighted, added up per token, with those of a shared expert.
struct FinalizeRouting {
    Tensor weight;
    Tensor scale;
    Tensor correction;
    Tensor token_scale;
    Tensor shared;
    Tensor logit;
    Tensor row_index;
    double shared_weight = 1.0;
    Int shared_offset = 0;

    void run(const Tensor& x, const Tensor& group_list, Int list_type, bool transpose_weight,
             const Out& y) const {
        require(weight.dtype() != DType::int8 || !correction.defined(),
                "bias must be null if x2 is int8");
        const Groups groups = groups_of(group_list, list_type, x.size(0));
        Tensor total = full(y.tensor.sizes(), Scalar{0.0}, DType::float32);
        for (const Group& group : groups) {
            const Tensor matrix = part(weight, group.index);
            const Tensor tokens = token_scale.defined()
                                      ? rows(token_scale.reshape({-1}), group.begin, group.end)
                                      : Tensor();
            Tensor product =
                scaled_product(rows(x, group.begin, group.end),
                               {transpose_weight ? matrix.transpose(0, 1) : matrix,
                                part(scale, group.index), part(correction, group.index)},
                               tokens);
            if (logit.defined()) {
                product = product * column(rows(logit, group.begin, group.end)).to_float();
            }
            total = aten("index_add", total, 0,
                         rows(row_index, group.begin, group.end).to(DType::int64), product);
        }
        if (shared.defined()) {
            const Tensor target =
                aten("slice.Tensor", total, 0, shared_offset, shared_offset + shared.size(0));
            assign(target, target + shared.to_float() * shared_weight);
        }
        y = total;
    }
};

}  // namespace

// dtype is that of the output, and tuningConfig is a hint. A parameter that torch_npu passes on
// without a value is an empty tensor.
#define FINALIZE_ROUTING(NAME, ...)                                                          \
    ACLNN(NAME, Tensor x, Tensor weight, Tensor scale, Optional<Tensor> bias,                \
          REFUSED(Tensor, offset), REFUSED(Tensor, antiquantScale),                          \
          REFUSED(Tensor, antiquantOffset), Optional<Tensor> token_scale, Tensor group_list, \
          Optional<Tensor> shared, Optional<Tensor> logit, Tensor row_index, Unused<Int>,    \
          float shared_weight, Int shared_offset, REFUSED(bool, transposeX1),                \
          bool transpose_weight, Int list_type, __VA_ARGS__ Out y) {                         \
        FinalizeRouting{weight, scale,     bias,          token_scale,  shared,              \
                        logit,  row_index, shared_weight, shared_offset}                     \
            .run(x, group_list, list_type, transpose_weight, y);                             \
    }
#define COMMA ,
FINALIZE_ROUTING(aclnnGroupedMatmulFinalizeRoutingV2)
FINALIZE_ROUTING(aclnnGroupedMatmulFinalizeRoutingV3, Unused<Ints> COMMA)
FINALIZE_ROUTING(aclnnGroupedMatmulFinalizeRoutingWeightNzV2, Unused<Ints> COMMA)

#define FIRST_FINALIZE_ROUTING(NAME)                                                           \
    ACLNN(NAME, Tensor x, Tensor weight, Tensor scale, Optional<Tensor> bias,                  \
          Optional<Tensor> token_scale, Tensor group_list, Optional<Tensor> shared,            \
          Optional<Tensor> logit, Tensor row_index, Unused<Int>, float shared_weight,          \
          Int shared_offset, REFUSED(bool, transposeX1), bool transpose_weight, Int list_type, \
          Out y) {                                                                             \
        FinalizeRouting{weight, scale,     bias,          token_scale,  shared,                \
                        logit,  row_index, shared_weight, shared_offset}                       \
            .run(x, group_list, list_type, transpose_weight, y);                               \
    }
FIRST_FINALIZE_ROUTING(aclnnGroupedMatmulFinalizeRouting)
FIRST_FINALIZE_ROUTING(aclnnGroupedMatmulFinalizeRoutingWeightNz)

namespace {

void quant_grouped_matmul_dequant(const Tensor& x, const Tensor& weight, const Tensor& weight_scale,
                                  const Tensor& group_list, const Tensor& x_scale,
                                  const Tensor& smooth, bool transpose_weight, const Out& y) {
    const Tensor values = smooth.defined() ? x.to_float() * smooth.to_float() : x.to_float();
    const Tensor factor =
        x_scale.defined() ? x_scale.to_float() : quantize_rows(values, DType::int8).scale;
    const Tensor spread = factor.numel() == 1 ? factor : column(factor);
    const Tensor quantized =
        aten("clamp", aten("round", values / spread), -128.0, 127.0).to(DType::int8);
    const Groups groups = groups_of(group_list, 0, x.size(0));
    TensorList parts;
    for (const Group& group : groups) {
        const Tensor matrix = part(weight, group.index);
        Dequantization factors;
        factors.x2_scale = part(weight_scale, group.index);
        if (!is_encoded_scale(weight_scale)) {  // an encoded scale contains that of x
            factors.x1_scale = factor.numel() == 1 ? factor : rows(factor, group.begin, group.end);
        }
        parts.push_back(dequantized_product(rows(quantized, group.begin, group.end),
                                            transpose_weight ? matrix.transpose(0, 1) : matrix,
                                            factors));
    }
    first_rows(y, rows_in(groups)) = aten("cat", parts, 0);
}

}  // namespace

// xQuantMode follows from the shape of xScale.
#define QUANT_GROUPED_MATMUL_DEQUANT(NAME)                                                 \
    ACLNN(NAME, Tensor x, Tensor weight, Tensor weight_scale, Tensor group_list,           \
          REFUSED(Tensor, bias), Optional<Tensor> x_scale, REFUSED(Tensor, xOffset),       \
          Optional<Tensor> smooth, Unused<String>, bool transpose_weight, Out y) {         \
        quant_grouped_matmul_dequant(x, weight, weight_scale, group_list, x_scale, smooth, \
                                     transpose_weight, y);                                 \
    }
QUANT_GROUPED_MATMUL_DEQUANT(aclnnQuantGroupedMatmulDequant)
QUANT_GROUPED_MATMUL_DEQUANT(aclnnQuantGroupedMatmulDequantWeightNZ)

namespace {

/// y[g] += x1[:, columns of g] @ x2[rows of g], each product scaled.
template <class Scale>
void add_products(const Tensor& x, const Tensor& weight, const Groups& groups, const InOut& y,
                  Scale scale) {
    for (const Group& group : groups) {
        const Tensor product =
            aten("matmul", aten("slice.Tensor", x, 1, group.begin, group.end).to_float(),
                 rows(weight, group.begin, group.end).to_float());
        const Tensor target = aten("select.int", y.tensor, 0, group.index);
        assign(target, target.to_float() + scale(product, group.index));
    }
}

void grouped_matmul_add(const Tensor& x, const Tensor& weight, const Tensor& group_list,
                        const InOut& y, bool transpose_x, bool transpose_weight, Int group_type,
                        Int list_type) {
    require(group_type == 2, "groupType must be 2, got " + std::to_string(group_type));
    const Tensor left = transpose_x ? x.transpose(0, 1) : x;
    add_products(left, transpose_weight ? weight.transpose(0, 1) : weight,
                 groups_of(group_list, list_type, left.size(1)), y,
                 [](const Tensor& product, Int) { return product; });
}

}  // namespace

ACLNN(aclnnGroupedMatmulAdd, Tensor x, Tensor weight, Tensor group_list, InOut y, bool transpose_x,
      bool transpose_weight, Int group_type) {
    grouped_matmul_add(x, weight, group_list, y, transpose_x, transpose_weight, group_type, 0);
}
ACLNN(aclnnGroupedMatmulAddV2, Tensor x, Tensor weight, Tensor group_list, InOut y,
      bool transpose_x, bool transpose_weight, Int group_type, Int list_type) {
    grouped_matmul_add(x, weight, group_list, y, transpose_x, transpose_weight, group_type,
                       list_type);
}
// x1 is [k, m] and x2 [k, n].
ACLNN(aclnnQuantGroupedMatmulInplaceAdd, Tensor x1, Tensor x2, Optional<Tensor> scale1,
      Tensor scale2, Tensor group_list, InOut y, Int list_type, REFUSED(Int, groupSize)) {
    require(scale2.dim() <= 2, "scale2 must be [groups] or [groups, n]");
    add_products(x1.transpose(0, 1), x2, groups_of(group_list, list_type, x1.size(0)), y,
                 [&](const Tensor& product, Int group) {
                     const Tensor scaled = product * part(scale2, group).to_float();
                     return scale1.defined() ? scaled * part(scale1, group).to_float() : scaled;
                 });
}
