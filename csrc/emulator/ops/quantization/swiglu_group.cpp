// SwiGLU of the tokens of experts, weighted and quantized in blocks, and its gradient.
#include "emulator/ops/checks.h"
#include "emulator/ops/groups.h"
#include "emulator/ops/quantization/mx.h"
#include "emulator/ops/quantization/quantized.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

constexpr double least_magnitude = 1e-4;  // of a block
constexpr Int float8_block = 128;

struct ClampedSwiGlu {
    Tensor gate;
    Tensor linear;

    ClampedSwiGlu(const Tensor& x, double limit) {
        const TensorList halves = aten_all("chunk", x, 2, -1);
        gate = limit > 0 ? aten("clamp_max", halves[0], limit) : halves[0];
        linear = limit > 0 ? aten("clamp", halves[1], -limit, limit) : halves[1];
    }
    Tensor value() const { return aten("silu", gate) * linear; }
};

void check_limit(double limit) {
    require(limit == -1.0 || limit > 0,
            "clampLimit must be -1 or positive, got " + std::to_string(limit));
}

/// How many rows belong to a group.
Int rows_of_groups(const Tensor& group_index, Int total) {
    if (!group_index.defined()) {
        return total;
    }
    Int sum = 0;
    for (const Int count : integers_of(group_index)) {
        require(count >= 0, "groupIndex must not be negative, got " + std::to_string(count));
        sum += count;
    }
    return std::min(sum, total);
}

Tensor first_rows_of(const Tensor& x, Int count) {
    return x.reshape({-1, x.size(-1)}).narrow(0, count).to_float();
}

/// One scale for 128 columns: the quotient of the largest magnitude and the dtype's largest number,
/// or the power of two above it.
void store_float8_blocks(const Tensor& values, bool rounds, const Out& y, const Out& scale) {
    const Int blocks = (values.size(1) + float8_block - 1) / float8_block;
    const Tensor finite = aten("nan_to_num", values, 0.0, 0.0, 0.0);
    const Tensor padded = aten("constant_pad_nd", aten("abs", finite),
                               IntList{0, blocks * float8_block - values.size(1)}, Scalar{0.0});
    const Tensor largest =
        aten("amax", padded.reshape({values.size(0), blocks, float8_block}), IntList{-1}, false);
    const Range range = range_of(y.tensor.dtype());
    Tensor factor = aten("clamp_min", largest, least_magnitude) / range.max;
    if (rounds) {
        factor = aten("exp2", aten("ceil", aten("log2", factor.to(DType::float64)))).to_float();
    }
    const Tensor spread =
        aten("repeat_interleave.self_int", factor, float8_block, 1).narrow(1, values.size(1));
    y = aten("clamp", values / spread, range.min, range.max);
    scale = factor;
}

}  // namespace

// dstTypeMax belongs to the modes for hifloat8, which are refused with their scale.
ACLNN_CHECKED(aclnnSwigluGroupQuant, Tensor x, Optional<Tensor> weight, Optional<Tensor> groupIndex,
              REFUSED(Tensor, scale), Int dstType, Int quantMode, Int blockSize, bool roundScale,
              double clampLimit, Unused<double>, REFUSED(bool, outputOrigin), Out y, Out yScale,
              Unused<Out>) {
    if (quantMode == 2 || quantMode == 3) {
        not_emulated("quantMode " + std::to_string(quantMode) + " (hifloat8)");
    }
    require(quantMode == 0 || quantMode == 1, "quantMode must be 0 to 3");
    check_limit(clampLimit);
    require(blockSize == 0 || blockSize == (quantMode == 0 ? float8_block : 32),
            "blockSize must be 0, or 128 in mode 0 and 32 in mode 1");
    require(quantMode == 0 || roundScale, "roundScale must be true if quantMode is 1");
    const MxQuantization mx{dstType, dstType == ACL_FLOAT4_E2M1 ? 2 : 1, "", 0,
                            dstType == ACL_FLOAT4_E2M1 ? 0 : least_magnitude};
    mx.check(y);
    require(quantMode == 1 || dstType != ACL_FLOAT4_E2M1, "quantMode must be 1 for float4");
    const Int total = x.numel() / x.size(-1);
    const Int count = rows_of_groups(groupIndex, total);
    Tensor values = ClampedSwiGlu(first_rows_of(x, count), clampLimit).value();
    if (weight.defined()) {
        values = values * weight.to_float().reshape({-1, 1}).narrow(0, count);
    }
    const Out target = first_rows(Out{y.tensor.reshape({total, -1}), y.parameter}, count);
    if (quantMode == 1) {
        const Tensor pairs = yScale.tensor.reshape({total, -1, 2});
        mx.run(values, -1, target, first_rows(Out{pairs, yScale.parameter}, count));
    } else {
        const Tensor scales = yScale.tensor.reshape({total, -1});
        store_float8_blocks(values, roundScale, target,
                            first_rows(Out{scales, yScale.parameter}, count));
    }
}

// Rows outside all groups have the gradient 0.
ACLNN_CHECKED(aclnnSwigluGroupQuantGrad, Tensor gradY, Tensor x, Optional<Tensor> weight,
              Optional<Tensor> yOrigin, Optional<Tensor> groupIndex, double clampLimit, Out gradX,
              Optional<Out> gradWeight) {
    check_limit(clampLimit);
    require(!gradWeight.defined() || (weight.defined() && yOrigin.defined()),
            "weight and yOrigin must be given for gradWeight");
    const Int total = x.numel() / x.size(-1);
    const Int count = rows_of_groups(groupIndex, total);
    const Tensor grad = first_rows_of(gradY, count);
    const Tensor wide = first_rows_of(x, count);
    const ClampedSwiGlu swiglu(wide, clampLimit);
    const Tensor own =
        weight.defined() ? grad * weight.to_float().reshape({-1, 1}).narrow(0, count) : grad;
    Tensor of_gate = aten("silu_backward", own * swiglu.linear, swiglu.gate);
    Tensor of_linear = own * aten("silu", swiglu.gate);
    if (clampLimit > 0) {
        const TensorList halves = aten_all("chunk", wide, 2, -1);
        of_gate = of_gate * aten("le.Scalar", halves[0], clampLimit);
        of_linear = of_linear * aten("le.Scalar", aten("abs", halves[1]), clampLimit);
    }
    const Tensor found = aten("cat", TensorList{of_gate, of_linear}, -1);
    const auto padded = [&](const Tensor& values) {
        return aten("constant_pad_nd", values, IntList{0, 0, 0, total - count}, Scalar{0.0});
    };
    gradX = padded(found).reshape(x.sizes());
    if (gradWeight.defined()) {
        const Tensor sums = (grad * first_rows_of(yOrigin, count)).sum({-1}, true);
        gradWeight = padded(sums).reshape(gradWeight.tensor.sizes());
    }
}
