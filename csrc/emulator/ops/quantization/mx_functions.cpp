// The functions that quantize to microscaling formats, alone and after a norm or an activation.
#include "emulator/ops/checks.h"
#include "emulator/ops/groups.h"
#include "emulator/ops/quantization/mx.h"
#include "emulator/ops/quantization/swiglu.h"
#include "emulator/ops/rms_norm.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

ACLNN_CHECKED(aclnnDynamicMxQuant, Tensor x, Int axis, String roundMode, Int dstType, Int blocksize,
              Int scaleAlg, Out y, Out mxscale) {
    const MxQuantization mx{dstType, scaleAlg, roundMode, 0, 0, blocksize};
    mx.check(y);
    mx.run(x.to_float(), axis, y, mxscale);
}
ACLNN_CHECKED(aclnnDynamicMxQuantV2, Tensor x, Int axis, String roundMode, Int dstType,
              Int blocksize, Int scaleAlg, double dstTypeMax, Out y, Out mxscale) {
    const MxQuantization mx{dstType, scaleAlg, roundMode, dstTypeMax, 0, blocksize};
    mx.check(y);
    mx.run(x.to_float(), axis, y, mxscale);
}
ACLNN_CHECKED(aclnnDynamicMxQuantV3, Tensor x, Int axis, String roundMode, Int dstType,
              Int blocksize, Int scaleAlg, double dstTypeMax, double maxLowBound, Out y,
              Out mxscale) {
    const MxQuantization mx{dstType, scaleAlg, roundMode, dstTypeMax, maxLowBound, blocksize};
    mx.check(y);
    mx.run(x.to_float(), axis, y, mxscale);
}

namespace {

/// Quantize along the last axis and along the one before it.
void both_axes(const MxQuantization& mx, const Tensor& x, const Out& y1, const Out& scale1,
               const Out& y2, const Out& scale2) {
    mx.run(x, -1, y1, scale1);
    mx.run(x, -2, y2, scale2);
}

/// The same, with groups of rows for the axis before the last one.
void both_axes_in_groups(const MxQuantization& mx, const Tensor& x, const Tensor& group_index,
                         const Out& y1, const Out& scale1, const Out& y2, const Out& scale2) {
    if (!group_index.defined()) {
        both_axes(mx, x, y1, scale1, y2, scale2);
        return;
    }
    mx.run(x, -1, y1, scale1);
    mx.run_groups(x, integers_of(group_index), y2, scale2);
}

}  // namespace

ACLNN_CHECKED(aclnnDynamicMxQuantWithDualAxis, Tensor x, String roundMode, Int dstType,
              Int scaleAlg, Out y1, Out mxscale1, Out y2, Out mxscale2) {
    const MxQuantization mx{dstType, scaleAlg, roundMode};
    mx.check(y1);
    mx.check(y2);
    require(x.dim() >= 2, "x must have at least 2 dimensions");
    both_axes(mx, x.to_float(), y1, mxscale1, y2, mxscale2);
}
ACLNN_CHECKED(aclnnDynamicMxQuantWithDualAxisV2, Tensor x, String roundMode, Int dstType,
              Int scaleAlg, double dstTypeMax, Out y1, Out mxscale1, Out y2, Out mxscale2) {
    const MxQuantization mx{dstType, scaleAlg, roundMode, dstTypeMax};
    mx.check(y1);
    mx.check(y2);
    require(x.dim() >= 2, "x must have at least 2 dimensions");
    both_axes(mx, x.to_float(), y1, mxscale1, y2, mxscale2);
}
ACLNN_CHECKED(aclnnDynamicBlockMxQuant, Tensor x, String roundMode, Int dstType, Int scaleAlg,
              double dstTypeMax, Out y, Out scale1, Out scale2) {
    const MxQuantization mx{dstType, scaleAlg, roundMode, dstTypeMax};
    mx.check(y);
    require(scaleAlg != 1, "scaleAlg must be 0 or 2, got 1");
    require(x.dim() == 2 || x.dim() == 3, "x must have 2 or 3 dimensions");
    mx.run_squares(x.to_float(), y, scale1, scale2);
}
ACLNN_CHECKED(aclnnGroupedDynamicMxQuant, Tensor x, Tensor groupIndex, String roundMode,
              Int dstType, Int blocksize, Out y, Out mxscale) {
    const MxQuantization mx{dstType, 0, roundMode, 0, 0, blocksize};
    mx.check(y);
    require(x.dim() == 2, "x must have 2 dimensions");
    mx.run_groups(x.to_float(), integers_of(groupIndex), y, mxscale);
}
ACLNN_CHECKED(aclnnGroupedDynamicMxQuantV2, Tensor x, Tensor groupIndex, String roundMode,
              Int dstType, Int blocksize, Int scaleAlg, double dstTypeMax, Out y, Out mxscale) {
    const MxQuantization mx{dstType, scaleAlg, roundMode, dstTypeMax, 0, blocksize};
    mx.check(y);
    require(x.dim() == 2, "x must have 2 dimensions");
    mx.run_groups(x.to_float(), integers_of(groupIndex), y, mxscale);
}

// dstType is the dtype of y; the blocks have 32 elements.
ACLNN_CHECKED(aclnnAntiMxQuant, Tensor x, Tensor mxscale, Int axis, Unused<Int>, Out y) {
    require(mxscale.dtype() == DType::float8_e8m0, "mxscale must be float8_e8m0");
    const Int rank = x.dim();
    require(axis >= -rank && axis < rank, "axis must be a dimension of x");
    require(mxscale.dim() == rank + 1 && mxscale.size(-1) == 2,
            "mxscale must have one dimension more than x, the last one of size 2");
    y = from_mx(x, mxscale, axis, 32);
}

namespace {

void store_normed(const Tensor& x, const Tensor& gamma, const Tensor& beta, double epsilon,
                  const MxQuantization& mx, const Out& y, const Out& scale, const Out& rstd) {
    const RmsNormed found = rms_norm(x, gamma, epsilon);
    mx.run(beta.defined() ? found.normed + beta.to_float() : found.normed, -1, y, scale);
    rstd = found.rstd;
}

}  // namespace

ACLNN_CHECKED(aclnnRmsNormDynamicMxQuant, Tensor x, Tensor gamma, Optional<Tensor> beta,
              double epsilon, Int scaleAlg, String roundMode, Int dstType, bool outputRstd, Out y,
              Out mxscale, Optional<Out> rstd) {
    const MxQuantization mx{dstType, scaleAlg, roundMode};
    mx.check(y);
    store_normed(x, gamma, beta, epsilon, mx, y, mxscale, outputRstd ? rstd : Out());
}
ACLNN_CHECKED(aclnnAddRmsNormDynamicMxQuant, Tensor x1, Tensor x2, Tensor gamma,
              Optional<Tensor> beta, double epsilon, Int scaleAlg, String roundMode, Int dstType,
              bool outputRstd, Out y, Out xOut, Out mxscale, Optional<Out> rstd) {
    const MxQuantization mx{dstType, scaleAlg, roundMode};
    mx.check(y);
    const Tensor sum = rounded_sum(x1, x2);
    store_normed(sum, gamma, beta, epsilon, mx, y, mxscale, outputRstd ? rstd : Out());
    xOut = sum;
}

// groupMode 0 lists the sizes of groups, 1 their ends; other rows are not written.
ACLNN_CHECKED(aclnnSwigluMxQuant, Tensor x, Optional<Tensor> groupIndex, Int activateDim,
              bool activateLeft, Int swigluMode, double clampLimit, double gluAlpha, double gluBias,
              Int groupMode, Int axis, Int dstType, String roundMode, Int scaleAlg,
              double maxDtypeValue, Out y, Out mxscale) {
    const MxQuantization mx{dstType, scaleAlg, roundMode, scaleAlg == 2 ? maxDtypeValue : 0};
    mx.check(y);
    require(swigluMode == 0 || swigluMode == 1, "swigluMode must be 0 or 1");
    const auto is_last = [&](Int dim) { return dim == -1 || dim == x.dim() - 1; };
    require(is_last(activateDim) || swigluMode == 0,
            "swigluMode must be 0 unless activateDim is the last dimension");
    if (groupIndex.defined() && !(is_last(activateDim) && is_last(axis))) {
        not_emulated("groupIndex with activateDim or axis before the last dimension");
    }
    require(groupMode == 0 || groupMode == 1, "groupMode must be 0 or 1");
    const SwiGlu swiglu{activateLeft, activateDim, swigluMode, clampLimit, gluAlpha, gluBias};
    if (!groupIndex.defined()) {
        mx.run(swiglu(x.to_float()), axis, y, mxscale);
        return;
    }
    const Tensor flat = x.to_float().reshape({-1, x.size(-1)});
    const Int list_type = static_cast<Int>(groupMode == 0 ? GroupList::sizes : GroupList::ends);
    const Int count = rows_in(groups_of(groupIndex, list_type, flat.size(0)));
    const IntList scale_sizes = {flat.size(0), mxscale.tensor.size(-2), 2};
    mx.run(swiglu(flat.narrow(0, count)), -1,
           first_rows(Out{y.tensor.reshape({flat.size(0), -1}), y.parameter}, count),
           first_rows(Out{mxscale.tensor.reshape(scale_sizes), mxscale.parameter}, count));
}
ACLNN_CHECKED(aclnnSwigluMxQuantWithDualAxis, Tensor x, Optional<Tensor> groupIndex,
              bool activateLeft, String roundMode, Int scaleAlg, Int dstType,
              REFUSED(double, maxDtypeValue), Out y1, Out mxscale1, Out y2, Out mxscale2) {
    const MxQuantization mx{dstType, scaleAlg, roundMode};
    mx.check(y1);
    mx.check(y2);
    require(x.dim() == 2, "x must have 2 dimensions");
    both_axes_in_groups(mx, SwiGlu{activateLeft}(x.to_float()), groupIndex, y1, mxscale1, y2,
                        mxscale2);
}
ACLNN_CHECKED(aclnnSwigluBackwardMxQuantWithDualAxis, Tensor x, Tensor yGrad,
              Optional<Tensor> groupIndex, bool activateLeft, String roundMode, Int scaleAlg,
              Int dstDtype, REFUSED(double, maxDtypeValue), Out y1, Out mxscale1, Out y2,
              Out mxscale2) {
    const MxQuantization mx{dstDtype, scaleAlg, roundMode};
    mx.check(y1);
    mx.check(y2);
    require(x.dim() == 2 || !groupIndex.defined(), "x must have 2 dimensions with groupIndex");
    const TensorList halves = aten_all("chunk", x.to_float(), 2, -1);
    const Tensor& gate = halves[activateLeft ? 0 : 1];
    const Tensor& linear = halves[activateLeft ? 1 : 0];
    const Tensor grad = yGrad.to_float();
    const Tensor of_gate = aten("silu_backward", grad * linear, gate);
    const Tensor of_linear = grad * aten("silu", gate);
    const TensorList parts =
        activateLeft ? TensorList{of_gate, of_linear} : TensorList{of_linear, of_gate};
    both_axes_in_groups(mx, aten("cat", parts, -1), groupIndex, y1, mxscale1, y2, mxscale2);
}
