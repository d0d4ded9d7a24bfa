// Matrix products with something before or after, and convolutions in other layouts. All compute in
// fp32. The functions WeightNz take weights in the format FRACTAL_NZ, which a body receives in
// the order of ND.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnAddmmWeightNz,       "addmm", Tensor, Tensor, Tensor, Scalar, Scalar, Out, CubeMathType)
ATEN(aclnnBatchMatMulWeightNz, "bmm",   Tensor, Tensor, Out, CubeMathType)
// clang-format on

ACLNN_CHECKED(aclnnFusedMatmul, Tensor x1, Tensor x2, Optional<Tensor> bias, Optional<Tensor> x3,
              String operation, CubeMathType, Out y) {
    const bool is_binary = operation == "add" || operation == "mul";
    const bool is_gelu = operation == "gelu_tanh" || operation == "gelu_erf";
    require(
        is_binary || is_gelu || operation.empty() || operation == "relu" || operation == "16cast32",
        "fusedOpType must be add, mul, gelu_tanh, gelu_erf, relu, 16cast32 or empty, got " +
            operation);
    require(is_binary == x3.defined(),
            "x3 must be given if fusedOpType is add or mul, and only then");
    require(!is_gelu || !bias.defined(), "bias must be null if fusedOpType is " + operation);
    Tensor product = aten("matmul", x1.to_float(), x2.to_float());
    product = bias.defined() ? product + bias.to_float() : product;
    if (is_binary) {
        product = operation == "add" ? product + x3.to_float() : product * x3.to_float();
    } else if (is_gelu) {
        product = aten("gelu", product, operation == "gelu_tanh" ? "tanh" : "none");
    } else if (operation == "relu") {
        product = aten("relu", product);
    }
    y = product;
}

// weightA is [weights, layers, rank, in] and weightB [weights, layers, out, rank]; each row of x
// has the index of its weights, or one of none.
ACLNN(aclnnAddLora, Tensor y, Tensor x, Tensor weight_b, Tensor indices, Optional<Tensor> weight_a,
      Int layer, double scale, Int offset, Int size, Out out) {
    const Tensor total = aten("clone", y.to_float());
    const Tensor target = aten("slice.Tensor", total, 1, offset, offset + size);
    for (Int i = 0; i < weight_b.size(0); ++i) {
        const auto of_layer = [&](const Tensor& weight) {
            const Tensor matrix = aten("select.int", aten("select.int", weight, 0, i), 0, layer);
            return matrix.to_float().transpose(0, 1);
        };
        Tensor product = x.to_float();
        product = weight_a.defined() ? aten("matmul", product, of_layer(weight_a)) : product;
        product = aten("matmul", product, of_layer(weight_b)) * scale;
        const Tensor belongs = aten("unsqueeze", aten("eq.Scalar", indices, i), -1).to_float();
        assign(target, target + product * belongs);
    }
    out = total;
}

ACLNN(aclnnConvDepthwise2d, Tensor x, Tensor weight, Ints kernel, Optional<Tensor> bias,
      Ints stride, Ints padding, Ints dilation, Out out, CubeMathType) {
    require(kernel == IntList({weight.size(2), weight.size(3)}),
            "kernelSize must be the size of weight");
    out = aten("conv2d", x.to_float(), weight.to_float(),
               bias.defined() ? bias.to_float() : Tensor(), stride, padding, dilation, x.size(1));
}

ACLNN(aclnnConvTbc, Tensor x, Tensor weight, Tensor bias, Int pad, Out out, CubeMathType) {
    out = aten("conv_tbc", x.to_float(), weight.to_float(), bias.to_float(), pad);
}
ACLNN(aclnnConvTbcBackward, Tensor grad, Tensor x, Tensor weight, Tensor bias, Int pad,
      CubeMathType, Out grad_x, Out grad_weight, Out grad_bias) {
    const TensorList found = aten_all("conv_tbc_backward", grad.to_float(), x.to_float(),
                                      weight.to_float(), bias.to_float(), pad);
    grad_x = found[0];
    grad_weight = found[1];
    grad_bias = found[2];
}
