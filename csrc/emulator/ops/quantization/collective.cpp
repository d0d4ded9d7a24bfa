// Quantized matrix products fused with a collective. What is added over ranks is added in fp32, in
// the order of ranks, and rounded once.
#include "emulator/ops/quantization/product.h"
#include "emulator/ops/ranks.h"

using namespace ascend_emulator;

namespace {

void check_all_reduce(const String& reduce_op, const Tensor& x1) {
    require(reduce_op == "sum", "reduceOp must be sum, got " + reduce_op);
    require(x1.dim() == 2 || x1.dim() == 3, "x1 must have 2 or 3 dimensions");
}

void check_int8(const Tensor& x1, const Tensor& x2) {
    if (x1.dtype() != DType::int8 || x2.dtype() != DType::int8) {
        not_emulated(std::string("x1 and x2 of ") + name_of(x1.dtype()) + " and " +
                     name_of(x2.dtype()));
    }
}

Tensor flat_rows(const Tensor& x) { return x.reshape({-1, x.size(-1)}); }

/// Add x3 to each rank's product, and sum over the ranks.
void all_reduce(const String& group, const Tensor& product, const Tensor& x3, const Out& output) {
    const Tensor own = x3.defined() ? product + flat_rows(x3.to_float()) : product;
    output = Ranks(group).all_gather(own).sum({0}).reshape(output.tensor.sizes());
}

void quantized_all_reduce(const Tensor& x1, const Tensor& x2, const Tensor& bias, const Tensor& x3,
                          const Tensor& x1_scale, const Tensor& x2_scale, const String& group,
                          const String& reduce_op, const Out& output) {
    check_all_reduce(reduce_op, x1);
    check_int8(x1, x2);
    const Tensor per_token = x1_scale.defined() ? x1_scale.reshape({-1}) : x1_scale;
    const Tensor product =
        dequantized_product(quantized_operand(flat_rows(x1)), quantized_operand(x2),
                            {per_token, x2_scale.reshape({-1}), {}, {}, bias});
    all_reduce(group, product, x3, output);
}

void weight_all_reduce(const Tensor& x1, const Tensor& x2, const Tensor& bias, const Tensor& scale,
                       const Tensor& offset, const Tensor& x3, const String& group,
                       const String& reduce_op, Int group_size, const Out& output) {
    check_all_reduce(reduce_op, x1);
    const Tensor weight = dequantized_weight(x2, scale, offset, group_size);
    Tensor product = aten("matmul", flat_rows(x1.to_float()), weight);
    product = bias.defined() ? product + bias.to_float() : product;
    all_reduce(group, product, x3, output);
}

}  // namespace

// How the work is divided, and what does the communication.
#define COLLECTIVE_TURNS Unused<Int>, Unused<Int>
#define QUANTIZED_OPERANDS Tensor x1, Tensor x2, Optional<Tensor> bias, Optional<Tensor> x3
#define COMMUNICATION_SCALES REFUSED(Tensor, commQuantScale1), REFUSED(Tensor, commQuantScale2)

ACLNN_CHECKED(aclnnQuantMatmulAllReduce, QUANTIZED_OPERANDS, Tensor dequantScale, String group,
              String reduceOp, COLLECTIVE_TURNS, Out output) {
    quantized_all_reduce(x1, x2, bias, x3, Tensor(), dequantScale, group, reduceOp, output);
}
ACLNN_CHECKED(aclnnQuantMatmulAllReduceV2, QUANTIZED_OPERANDS, Tensor dequantScale,
              Optional<Tensor> pertokenScale, String group, String reduceOp, COLLECTIVE_TURNS,
              Out output) {
    quantized_all_reduce(x1, x2, bias, x3, pertokenScale, dequantScale, group, reduceOp, output);
}
ACLNN_CHECKED(aclnnQuantMatmulAllReduceV3, QUANTIZED_OPERANDS, Tensor dequantScale,
              Optional<Tensor> pertokenScale, COMMUNICATION_SCALES, String group, String reduceOp,
              COLLECTIVE_TURNS, Out output) {
    quantized_all_reduce(x1, x2, bias, x3, pertokenScale, dequantScale, group, reduceOp, output);
}
ACLNN_CHECKED(aclnnQuantMatmulAllReduceV4, QUANTIZED_OPERANDS, Optional<Tensor> x1Scale,
              Tensor x2Scale, COMMUNICATION_SCALES, String group, String reduceOp, COLLECTIVE_TURNS,
              REFUSED(Int, groupSize), REFUSED(Int, commQuantMode), Out output) {
    quantized_all_reduce(x1, x2, bias, x3, x1Scale, x2Scale, group, reduceOp, output);
}
ACLNN_CHECKED(aclnnQuantMatmulAllReduceV5, QUANTIZED_OPERANDS, Optional<Tensor> x1Scale,
              Tensor x2Scale, COMMUNICATION_SCALES, String group, String reduceOp, Unused<String>,
              COLLECTIVE_TURNS, REFUSED(Int, groupSize), REFUSED(Int, commQuantMode), Out output) {
    quantized_all_reduce(x1, x2, bias, x3, x1Scale, x2Scale, group, reduceOp, output);
}
ACLNN_CHECKED(aclnnWeightQuantMatmulAllReduce, Tensor x1, Tensor x2, Optional<Tensor> bias,
              Tensor antiquantScale, Optional<Tensor> antiquantOffset, Optional<Tensor> x3,
              String group, String reduceOp, COLLECTIVE_TURNS, Int antiquantGroupSize, Out output) {
    weight_all_reduce(x1, x2, bias, antiquantScale, antiquantOffset, x3, group, reduceOp,
                      antiquantGroupSize, output);
}
ACLNN_CHECKED(aclnnWeightQuantMatmulAllReduceV2, Tensor x1, Tensor x2, Optional<Tensor> bias,
              Tensor antiquantScale, Optional<Tensor> antiquantOffset, Optional<Tensor> x3,
              String group, String reduceOp, Unused<String>, COLLECTIVE_TURNS,
              Int antiquantGroupSize, Out output) {
    weight_all_reduce(x1, x2, bias, antiquantScale, antiquantOffset, x3, group, reduceOp,
                      antiquantGroupSize, output);
}
