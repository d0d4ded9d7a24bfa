// Normalizations of the single-operator interface.
#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

namespace {

/// The sizes of the last dimensions, from `axis` on.
IntList sizes_from(const Tensor& x, Int axis) {
    const IntList sizes = x.sizes();
    return {sizes.begin() + static_cast<std::ptrdiff_t>(axis < 0 ? axis + x.dim() : axis),
            sizes.end()};
}

}  // namespace

// x, gamma, beta -> y, mean, rstd
SINGLE_OP(LayerNormV3) {
    operands.accept_attributes({"begin_norm_axis", "begin_params_axis", "epsilon"});
    const Tensor x = operands.input(0).to_float();
    const IntList sizes = sizes_from(x, static_cast<Int>(operands.number("begin_norm_axis")));
    const TensorList results =
        aten_all("native_layer_norm", x, sizes, operands.input(1).to_float().reshape(sizes),
                 operands.input(2).to_float().reshape(sizes), operands.number("epsilon", 1e-5));
    operands.output(0) = results[0];
    operands.output(1) = results[1];
    operands.output(2) = results[2];
}

// x, gx, beta, gamma -> mean, rstd, y: layer norm of alpha * x + gx.
SINGLE_OP(DeepNorm) {
    operands.accept_attributes({"alpha", "epsilon"});
    const Tensor z =
        operands.input(0).to_float() * operands.number("alpha", 0.3) + operands.input(1).to_float();
    const IntList sizes = operands.input(3).sizes();
    const TensorList results =
        aten_all("native_layer_norm", z, sizes, operands.input(3).to_float(),
                 operands.input(2).to_float(), operands.number("epsilon", 1e-6));
    operands.output(0) = results[1];
    operands.output(1) = results[2];
    operands.output(2) = results[0];
}

// dy, x, gx, gamma, mean, rstd -> dx, dgx, dbeta, dgamma
SINGLE_OP(DeepNormGrad) {
    operands.accept_attributes({"alpha"});
    const double alpha = operands.number("alpha", 0.3);
    const Tensor z = operands.input(1).to_float() * alpha + operands.input(2).to_float();
    const Tensor gamma = operands.input(3).to_float();
    const TensorList grads =
        aten_all("native_layer_norm_backward", operands.input(0).to_float(), z, gamma.sizes(),
                 operands.input(4), operands.input(5), gamma, gamma, BoolList{true, true, true});
    operands.output(0) = grads[0] * alpha;
    operands.output(1) = grads[0];
    operands.output(2) = grads[2];
    operands.output(3) = grads[1];
}

// sum of dy, sum of dy * x, mean, rstd -> sum of dy * (x - mean), gradient of the weight
SINGLE_OP(SyncBatchNormBackwardReduce) {
    operands.accept_attributes({});
    const Tensor centered = operands.input(1) - operands.input(0) * operands.input(2);
    operands.output(0) = centered;
    operands.output(1) = centered * operands.input(3);
}

// dy, x, mean, rstd, weight, mean of dy, mean of dy * (x - mean) -> dx
SINGLE_OP(SyncBatchNormBackwardElemt) {
    operands.accept_attributes({});
    const Tensor rstd = operands.input(3).to_float();
    const Tensor centered = operands.input(1).to_float() - operands.input(2).to_float();
    operands.output(0) = (operands.input(0).to_float() - operands.input(5).to_float() -
                          centered * rstd * rstd * operands.input(6).to_float()) *
                         rstd * operands.input(4).to_float();
}

namespace {

// x -> y, along one dimension
void softmax(const SingleOpOperands& operands, const char* schema) {
    operands.accept_attributes({"axes", "half_to_float"});
    const IntList axes = operands.ints("axes");
    require(axes.size() == 1, "axes must be one dimension, got " + text_of(axes));
    operands.output(0) = aten(schema, operands.input(0).to_float(), axes[0], false);
}

}  // namespace

SINGLE_OP(SoftmaxV2) { softmax(operands, "_softmax"); }
SINGLE_OP(LogSoftmaxV2) { softmax(operands, "_log_softmax"); }
