// Products of quantized matrices, and of a matrix and quantized weights. The functions WeightNz
// take weights in the format FRACTAL_NZ, which a body receives in the order of ND.
#include "emulator/ops/checks.h"
#include "emulator/ops/quantization/product.h"

using namespace ascend_emulator;

namespace {

void quant_matmul(const Tensor& x1, const Tensor& x2, Dequantization factors,
                  const Tensor& y_offset, bool transpose_x1, bool transpose_x2, const Out& y) {
    const bool is_int8_by_int4 =
        x1.dtype() == DType::int8 && (x2.dtype() == DType::int32 || x2.dtype() == DType::int4);
    require(is_int8_by_int4 == y_offset.defined(),
            "yOffset must be given for int8 by int4, and only then, got x1 " +
                std::string(name_of(x1.dtype())) + " and x2 " + name_of(x2.dtype()));
    const Tensor left = quantized_operand(x1, transpose_x1);
    const Tensor right = quantized_operand(x2, transpose_x2);
    require(left.size(-1) == right.size(-2), "x2 must have " + std::to_string(left.size(-1)) +
                                                 " rows, as x1 has columns, got " +
                                                 std::to_string(right.size(-2)));
    if (is_int8_by_int4) {
        y = int8_by_int4_product(left, right, factors.x2_scale, y_offset, factors.x1_scale);
        return;
    }
    if (y.tensor.dtype() == DType::int32) {
        const Tensor product = exact_product(left, right);
        y = factors.bias.defined() ? product + factors.bias.to(DType::float64) : product;
        return;
    }
    if (transpose_x2 && factors.x2_scale.dim() >= 2 && !factors.x2_offset.defined()) {
        factors.x2_scale = factors.x2_scale.transpose(-1, -2);  // the scales are transposed as well
    }
    if (transpose_x1 && factors.x1_scale.defined() && factors.x1_scale.dim() >= 2) {
        factors.x1_scale = factors.x1_scale.transpose(-1, -2);
    }
    const bool is_int8 = y.tensor.dtype() == DType::int8;
    if (is_int8 && !factors.out_offset.defined() && is_encoded_scale(factors.x2_scale)) {
        factors.out_offset = decode_offset(factors.x2_scale);
    }
    store_product(y, dequantized_product(left, right, factors));
}

/// An offset of two dimensions belongs to the weights, one of one dimension to the output.
Dequantization dequantization(const Tensor& x1_scale, const Tensor& x2_scale,
                              const Tensor& x2_offset, const Tensor& bias, Int group_size) {
    const Tensor offset = given(x2_offset);
    const bool is_of_weight = offset.defined() && offset.dim() == 2;
    return {given(x1_scale),
            x2_scale,
            is_of_weight ? offset : Tensor(),
            is_of_weight ? Tensor() : offset,
            given(bias),
            group_size};
}

}  // namespace

ACLNN(aclnnQuantMatmulV2, Tensor x1, Tensor x2, Optional<Tensor> bias, Tensor scale,
      bool transpose_x1, bool transpose_x2, Out y) {
    quant_matmul(x1, x2, dequantization({}, scale, {}, bias, 0), {}, transpose_x1, transpose_x2, y);
}
ACLNN(aclnnQuantMatmulV3, Tensor x1, Tensor x2, Tensor scale, Optional<Tensor> offset,
      Optional<Tensor> bias, bool transpose_x1, bool transpose_x2, Out y) {
    quant_matmul(x1, x2, dequantization({}, scale, offset, bias, 0), {}, transpose_x1, transpose_x2,
                 y);
}
ACLNN(aclnnQuantMatmulV4, Tensor x1, Tensor x2, Tensor scale, Optional<Tensor> offset,
      Optional<Tensor> x1_scale, Optional<Tensor> bias, bool transpose_x1, bool transpose_x2,
      Out y) {
    quant_matmul(x1, x2, dequantization(x1_scale, scale, offset, bias, 0), {}, transpose_x1,
                 transpose_x2, y);
}
#define QUANT_MATMUL(NAME)                                                                        \
    ACLNN(NAME, Tensor x1, Tensor x2, Optional<Tensor> x1_scale, Tensor x2_scale,                 \
          REFUSED(Tensor, yScale), REFUSED(Tensor, x1Offset), Optional<Tensor> x2_offset,         \
          Optional<Tensor> y_offset, Optional<Tensor> bias, bool transpose_x1, bool transpose_x2, \
          Int group_size, Out y) {                                                                \
        quant_matmul(x1, x2, dequantization(x1_scale, x2_scale, x2_offset, bias, group_size),     \
                     given(y_offset), transpose_x1, transpose_x2, y);                             \
    }
QUANT_MATMUL(aclnnQuantMatmulV5)
QUANT_MATMUL(aclnnQuantMatmulWeightNz)

// The sum over the batch. x1 is [batch, m, k] and x2 [batch, k, n].
ACLNN(aclnnQuantMatmulReduceSumWeightNz, Tensor x1, Tensor x2, Tensor x1_scale, Tensor x2_scale,
      REFUSED(Tensor, yScale), REFUSED(Tensor, x1Offset), REFUSED(Tensor, x2Offset),
      REFUSED(Tensor, yOffset), REFUSED(Tensor, bias), bool transpose_x1, bool transpose_x2,
      REFUSED(Int, groupSize), Ints dims, bool keep_dims, Out y) {
    require(dims == IntList{0}, "dims must be [0]");
    const Tensor product =
        exact_product(quantized_operand(x1, transpose_x1), quantized_operand(x2, transpose_x2));
    // The scales do not depend on the batch; x1's is [batch, m].
    const Tensor scaled = product.to_float() * decode_scale(x2_scale) * column(x1_scale.to_float());
    y = scaled.sum({0}, keep_dims);
}

namespace {

void fused_quant_matmul(const Tensor& x1, const Tensor& x2, const Tensor& x1_scale,
                        const Tensor& x2_scale, const Tensor& bias, const String& operation,
                        const Out& y) {
    require(operation == "gelu_tanh" || operation == "gelu_erf",
            "fusedOpType must be gelu_tanh or gelu_erf, got " + operation);
    const Tensor product = dequantized_product(quantized_operand(x1), quantized_operand(x2),
                                               dequantization(x1_scale, x2_scale, {}, bias, 0));
    y = aten("gelu", product, operation == "gelu_tanh" ? "tanh" : "none");
}

}  // namespace

#define FUSED_QUANT_MATMUL(NAME)                                                                 \
    ACLNN(NAME, Tensor x1, Tensor x2, Tensor x1_scale, Tensor x2_scale, REFUSED(Tensor, yScale), \
          REFUSED(Tensor, x1Offset), REFUSED(Tensor, x2Offset), REFUSED(Tensor, yOffset),        \
          Optional<Tensor> bias, REFUSED(Tensor, x3), String operation, REFUSED(Int, groupSize), \
          Out y) {                                                                               \
        fused_quant_matmul(x1, x2, x1_scale, x2_scale, bias, operation, y);                      \
    }
FUSED_QUANT_MATMUL(aclnnFusedQuantMatmul)
FUSED_QUANT_MATMUL(aclnnFusedQuantMatmulWeightNz)

ACLNN(aclnnQuantBatchMatmulInplaceAdd, Tensor x1, Tensor x2, Optional<Tensor> x1_scale,
      Tensor x2_scale, InOut y, bool transpose_x1, bool transpose_x2, Int group_size) {
    y = y.tensor.to_float() +
        dequantized_product(quantized_operand(x1, transpose_x1),
                            quantized_operand(x2, transpose_x2),
                            dequantization(x1_scale, x2_scale, {}, {}, group_size));
}

namespace {

void weight_quant_matmul(const Tensor& x, const Tensor& weight, const Tensor& scale,
                         const Tensor& offset, const Tensor& quant_scale,
                         const Tensor& quant_offset, const Tensor& bias, Int group_size,
                         const Out& y) {
    Tensor product =
        aten("matmul", x.to_float(), dequantized_weight(weight, scale, offset, group_size));
    if (bias.defined()) {
        product = product + bias.to_float();
    }
    if (!quant_scale.defined()) {
        y = product;
        return;
    }
    product = product * decode_scale(quant_scale);
    if (quant_offset.defined()) {
        product = product + quant_offset.to_float();
    } else if (is_encoded_scale(quant_scale)) {
        product = product + decode_offset(quant_scale);
    }
    store_quantized(y, product);
}

}  // namespace

#define WEIGHT_QUANT_MATMUL(NAME)                                                                  \
    ACLNN(NAME, Tensor x, Tensor weight, Tensor scale, Optional<Tensor> offset,                    \
          Optional<Tensor> quant_scale, Optional<Tensor> quant_offset, Optional<Tensor> bias,      \
          Int32 group_size, Out y) {                                                               \
        weight_quant_matmul(x, weight, scale, offset, quant_scale, quant_offset, bias, group_size, \
                            y);                                                                    \
    }
WEIGHT_QUANT_MATMUL(aclnnWeightQuantBatchMatmulV2)
WEIGHT_QUANT_MATMUL(aclnnWeightQuantBatchMatmulNz)
// innerPrecise trades precision for speed.
ACLNN(aclnnWeightQuantBatchMatmulV3, Tensor x, Tensor weight, Tensor scale, Optional<Tensor> offset,
      Optional<Tensor> quant_scale, Optional<Tensor> quant_offset, Optional<Tensor> bias,
      Int32 group_size, Unused<Int32>, Out y) {
    weight_quant_matmul(x, weight, scale, offset, quant_scale, quant_offset, bias, group_size, y);
}

// x1 is [m, batch, k], x2 [batch, k, n] and y [m, batch, n].
#define TRANSPOSE_QUANT_MATMUL(NAME)                                                           \
    ACLNN(NAME, Tensor x1, Tensor x2, REFUSED(Tensor, bias), Optional<Tensor> x1_scale,        \
          Tensor x2_scale, Unused<Int32>, REFUSED(Int, groupSize), Ints perm_x1, Ints perm_x2, \
          Ints perm_y, REFUSED_UNLESS(1, Int32, batchSplitFactor), Out y) {                    \
        y = dequantized_product(x1.permute(perm_x1), x2.permute(perm_x2),                      \
                                dequantization(x1_scale, x2_scale, {}, {}, 0))                 \
                .permute(perm_y);                                                              \
    }
TRANSPOSE_QUANT_MATMUL(aclnnTransposeQuantBatchMatMul)
TRANSPOSE_QUANT_MATMUL(aclnnTransposeQuantBatchMatMulWeightNz)
