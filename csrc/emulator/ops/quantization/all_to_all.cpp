// Quantized matrix products before or after an exchange between ranks.
#include "emulator/ops/quantization/mx.h"
#include "emulator/ops/quantization/product.h"
#include "emulator/ops/ranks.h"

using namespace ascend_emulator;

namespace {

void check_scale_per_column(const Tensor& x2_scale) {
    require(x2_scale.dim() == 1, "x2Scale must have one element per column of the product");
}

// The product is sent.

void check_product_to_ranks(const Tensor& x1, const Tensor& x2, const Tensor& x1_scale,
                            const Tensor& x2_scale, const OptionalInts& axes) {
    if (x1.dtype() != DType::int8 || x2.dtype() != DType::int8) {
        not_emulated(std::string("x1 and x2 of ") + name_of(x1.dtype()) + " and " +
                     name_of(x2.dtype()));
    }
    check_exchange_axes(axes, {-1, -2});
    require(x1_scale.numel() == x1.size(0), "x1Scale must have one element per row of x1");
    check_scale_per_column(x2_scale);
}

void product_to_ranks(const Tensor& x1, const Tensor& x2, const Tensor& bias,
                      const Tensor& x1_scale, const Tensor& x2_scale, const String& group,
                      bool transposes, const Out& output) {
    output = Ranks(group).columns_to_ranks(dequantized_product(quantized_operand(x1),
                                                               quantized_operand(x2, transposes),
                                                               {x1_scale, x2_scale, {}, {}, bias}));
}

// The left operand is received.

enum class ExchangeMode : std::int64_t { per_channel = 2, microscaling = 6, dynamic_per_token = 7 };

ExchangeMode mode_of(Int x1_mode, Int x2_mode) {
    const bool is_dynamic = x1_mode == static_cast<Int>(ExchangeMode::dynamic_per_token) &&
                            x2_mode == static_cast<Int>(ExchangeMode::per_channel);
    const bool is_mx =
        x1_mode == x2_mode && x1_mode == static_cast<Int>(ExchangeMode::microscaling);
    if (x1_mode == 3 && x2_mode == static_cast<Int>(ExchangeMode::per_channel)) {
        not_emulated("x1QuantMode 3 (quantized before the exchange)");
    }
    require(
        is_dynamic || is_mx,
        "x1QuantMode and x2QuantMode must be 7 and 2 (dynamic) or 6 and 6 (microscaling), got " +
            std::to_string(x1_mode) + " and " + std::to_string(x2_mode));
    return is_mx ? ExchangeMode::microscaling : ExchangeMode::dynamic_per_token;
}

/// The dtype of the rows that were received, which the weight's dtype must fit.
DType narrow_dtype(Int acl_type, const Tensor& x2) {
    const DType weight = x2.dtype();
    if (is_float8(weight)) {
        require(is_ascend950(), "x2 must be int8 or int4, got " + std::string(name_of(weight)));
        require(acl_type == ACL_FLOAT8_E5M2 || acl_type == ACL_FLOAT8_E4M3FN,
                "x1QuantDtype must be 35 or 36, got " + std::to_string(acl_type));
        return acl_type == ACL_FLOAT8_E5M2 ? DType::float8_e5m2 : DType::float8_e4m3fn;
    }
    if (weight == DType::int4 || weight == DType::int32) {
        require(acl_type == ACL_INT8 || acl_type == ACL_INT4,
                "x1QuantDtype must be 2 (int8) or 29 (int4) for an int4 x2, got " +
                    std::to_string(acl_type));
        return acl_type == ACL_INT8 ? DType::int8 : DType::int4;
    }
    require(weight == DType::int8,
            "x2 must be int8, int4 or float8, got " + std::string(name_of(weight)));
    require(acl_type == ACL_INT8,
            "x1QuantDtype must be 2 (int8) for an int8 x2, got " + std::to_string(acl_type));
    return DType::int8;
}

void check_received(ExchangeMode mode, const Tensor& x1, const Tensor& x2, const Tensor& x1_scale,
                    const Tensor& x2_scale, Int acl_type) {
    require(x1.dim() == 2 && x2.dim() == 2, "x1 and x2 must have 2 dimensions");
    if (mode == ExchangeMode::microscaling) {
        require_ascend950();
        require(is_float8(x1.dtype()) && is_float8(x2.dtype()),
                "x1 and x2 must be float8 for x1QuantMode 6");
        require(x1_scale.defined() && x1_scale.dim() == 3 && x2_scale.dim() == 3,
                "x1Scale and x2Scale must have 3 dimensions for x1QuantMode 6");
        require(x1.size(1) % 64 == 0,
                "the columns of x1 must be a multiple of 64, got " + std::to_string(x1.size(1)));
        return;
    }
    require(x1.dtype() == DType::float16 || x1.dtype() == DType::bfloat16,
            "x1 must be float16 or bfloat16 for x1QuantMode 7, got " +
                std::string(name_of(x1.dtype())));
    check_scale_per_column(x2_scale);
    require(!(is_float8(narrow_dtype(acl_type, x2)) && x1_scale.defined()),
            "x1Scale must be null for a float8 x2");
}

/// The same exchange for bytes: float8 and its scales.
Tensor bytes_to_columns(const Ranks& ranks, const Tensor& x) {
    const Tensor bytes = aten("view.dtype", x.contiguous(), DType::uint8);
    const Tensor rows = bytes.reshape({x.size(0), -1});
    return aten("view.dtype", ranks.ranks_to_columns(rows), x.dtype());
}

void received_mx_product(const Ranks& ranks, const Tensor& x1, const Tensor& x2, const Tensor& bias,
                         const Tensor& x1_scale, const Tensor& x2_scale, bool transposes,
                         const Out& output, const Out& received) {
    const Tensor left = bytes_to_columns(ranks, x1);
    const Tensor scale = bytes_to_columns(ranks, x1_scale).reshape({left.size(0), -1, 2});
    const Tensor product = mx_product(left, scale, x2, x2_scale, transposes);
    output = bias.defined() ? product + bias.to_float() : product;
    received = left;
}

void received_product(const Ranks& ranks, const Tensor& x1, const Tensor& x2, const Tensor& bias,
                      const Tensor& smooth, const Tensor& x2_scale, DType narrow, bool transposes,
                      const Out& output, const Out& received) {
    const Tensor rows = ranks.ranks_to_columns(x1);
    const Tensor wide = rows.to_float();
    const DynamicQuantized found =
        quantize_rows(smooth.defined() ? wide * smooth.to_float() : wide, narrow);
    const Tensor left = quantized_values(found.values, narrow);
    const Tensor right = quantized_operand(x2, transposes);
    if (is_float8(narrow)) {
        // With float8 the bias is added before the product is scaled.
        const Tensor product = exact_product(left, right).to_float();
        output = (bias.defined() ? product + bias.to_float() : product) * column(found.scale) *
                 x2_scale.to_float();
    } else {
        output = dequantized_product(left, right, {found.scale, x2_scale, {}, {}, bias});
    }
    received = rows;
}

void all_to_all_product(ExchangeMode mode, const Tensor& x1, const Tensor& x2, const Tensor& bias,
                        const Tensor& x1_scale, const Tensor& x2_scale, const String& group,
                        Int acl_type, bool transposes, const Out& output, const Out& received) {
    const Ranks ranks(group);
    if (mode == ExchangeMode::microscaling) {
        received_mx_product(ranks, x1, x2, bias, x1_scale, x2_scale, transposes, output, received);
    } else {
        received_product(ranks, x1, x2, bias, x1_scale, x2_scale, narrow_dtype(acl_type, x2),
                         transposes, output, received);
    }
}

}  // namespace

// The dtype of communication follows from its mode.
#define COMMUNICATION_AND_OFFSETS \
    REFUSED(Tensor, commScale), REFUSED(Tensor, x1Offset), REFUSED(Tensor, x2Offset)
#define SENT_OPERANDS                                                            \
    Tensor x1, Tensor x2, Optional<Tensor> bias, Tensor x1Scale, Tensor x2Scale, \
        COMMUNICATION_AND_OFFSETS
// The modes of quantization follow from the scales.
#define SENT_NUMBERS                                                                             \
    Unused<Int>, Unused<Int>, REFUSED(Int, commQuantMode), Unused<Int>, REFUSED(Int, groupSize), \
        REFUSED(bool, transposeX1), bool transposeX2, Out output

ACLNN_CHECKED(aclnnQuantMatmulAlltoAll, SENT_OPERANDS, OptionalInts alltoAllAxes, String group,
              SENT_NUMBERS) {
    check_product_to_ranks(x1, x2, x1Scale, x2Scale, alltoAllAxes);
    product_to_ranks(x1, x2, bias, x1Scale, x2Scale, group, transposeX2, output);
}
ACLNN_CHECKED(aclnnQuantMatmulAlltoAllV2, SENT_OPERANDS, OptionalInts alltoAllAxes, String group,
              Unused<String>, SENT_NUMBERS) {
    check_product_to_ranks(x1, x2, x1Scale, x2Scale, alltoAllAxes);
    product_to_ranks(x1, x2, bias, x1Scale, x2Scale, group, transposeX2, output);
}

#define RECEIVED_OPERANDS                                                                  \
    Tensor x1, Tensor x2, Optional<Tensor> bias, Optional<Tensor> x1Scale, Tensor x2Scale, \
        COMMUNICATION_AND_OFFSETS
// groupSize follows from the mode.
#define RECEIVED_NUMBERS                                                                          \
    Int x1QuantMode, Int x2QuantMode, REFUSED(Int, commQuantMode), Unused<Int>, Int x1QuantDtype, \
        Unused<Int>, REFUSED(bool, transposeX1), bool transposeX2, Out output,                    \
        Optional<Out> alltoAllOut

ACLNN_CHECKED(aclnnAlltoAllQuantMatmul, RECEIVED_OPERANDS, String group, OptionalInts alltoAllAxes,
              RECEIVED_NUMBERS) {
    const ExchangeMode mode = mode_of(x1QuantMode, x2QuantMode);
    check_exchange_axes(alltoAllAxes, {-2, -1});
    check_received(mode, x1, x2, x1Scale, x2Scale, x1QuantDtype);
    all_to_all_product(mode, x1, x2, bias, x1Scale, x2Scale, group, x1QuantDtype, transposeX2,
                       output, alltoAllOut);
}
ACLNN_CHECKED(aclnnAlltoAllQuantMatmulV2, RECEIVED_OPERANDS, String group, Unused<String>,
              OptionalInts alltoAllAxes, RECEIVED_NUMBERS) {
    const ExchangeMode mode = mode_of(x1QuantMode, x2QuantMode);
    check_exchange_axes(alltoAllAxes, {-2, -1});
    check_received(mode, x1, x2, x1Scale, x2Scale, x1QuantDtype);
    all_to_all_product(mode, x1, x2, bias, x1Scale, x2Scale, group, x1QuantDtype, transposeX2,
                       output, alltoAllOut);
}
