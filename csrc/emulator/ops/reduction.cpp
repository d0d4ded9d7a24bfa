// Sums, extremes, order statistics and scans.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnAll,           "all.dims",         Tensor, Dims, bool, Out)
ATEN(aclnnAmax,         "amax",          Tensor, Ints, bool, Out)
ATEN(aclnnAmin,         "amin",          Tensor, Ints, bool, Out)
ATEN(aclnnAminmaxDim,   "aminmax",       Tensor, Int, bool, Out, Out)
ATEN(aclnnAny,           "any.dims",         Tensor, Dims, bool, Out)
ATEN(aclnnArgMax,       "argmax",        Tensor, Int, bool, Out)
ATEN(aclnnArgMin,       "argmin",        Tensor, Int, bool, Out)
ATEN(aclnnBincount,     "bincount",      Tensor, Tensor, Int, Out)
ATEN(aclnnCummax,       "cummax",        Tensor, Int, Out, Out)
ATEN(aclnnCummin,       "cummin",        Tensor, Int, Out, Out)
ATEN(aclnnCumsum,       "cumsum",        Tensor, Int, DType, Out)
ATEN(aclnnKthvalue,     "kthvalue",      Tensor, Int, Int, bool, Out, Out)
ATEN(aclnnLinalgVectorNorm, "linalg_vector_norm", Tensor, Scalar, Dims, bool, Unused<DType>, Out)
ATEN(aclnnLogSumExp,    "logsumexp",     Tensor, Ints, bool, Out)
ATEN(aclnnMax,          "max",           Tensor, Out)
ATEN(aclnnMaxDim,       "max.dim",       Tensor, Int, bool, Out, Out)
ATEN(aclnnMean,          "mean.dim",         Tensor, Dims, bool, DType, Out)
ATEN(aclnnMedian,       "median",        Tensor, Out)
ATEN(aclnnMedianDim,    "median.dim",    Tensor, Int, bool, Out, Out)
ATEN(aclnnMin,          "min",           Tensor, Out)
ATEN(aclnnMinDim,       "min.dim",       Tensor, Int, bool, Out, Out)
ATEN(aclnnNanMedian,    "nanmedian",     Tensor, Out)
ATEN(aclnnNanMedianDim, "nanmedian.dim", Tensor, Int, bool, Out, Out)
ATEN(aclnnNorm,          "linalg_vector_norm", Tensor, Scalar, Dims, bool, Out)
ATEN(aclnnProd,         "prod",          Tensor, DType, Out)
ATEN(aclnnProdDim,      "prod.dim_int",  Tensor, Int, bool, DType, Out)
ATEN(aclnnReduceSum,     "sum.dim_IntList",  Tensor, Dims, bool, DType, Out)
ATEN(aclnnSort,         "sort.stable",   Tensor, bool, Int, bool, Out, Out)
ATEN(aclnnStd,           "std.correction",   Tensor, Dims, Int, bool, Out)
ATEN(aclnnTopk,         "topk",          Tensor, Int, Int, bool, bool, Out, Out)
ATEN(aclnnTopkV2,       "topk",          Tensor, Int, Int, bool, bool, Unused<Int>, Out, Out)  // the algorithm
ATEN(aclnnVarCorrection, "var.correction",   Tensor, Dims, Int, bool, Out)
ATEN(aclnnVarMean,       "var_mean.correction", Tensor, Dims, Int, bool, Out, Out)
ATEN(aclnnReduceNansum,    "nansum",              Tensor, Dims, bool, DType, Out)
ATEN(aclnnStdMeanCorrection, "std_mean.correction", Tensor, Dims, Int, bool, Out, Out)
// clang-format on

ACLNN(aclnnAminmax, Tensor self, Ints dims, bool keep, Out smallest, Out largest) {
    smallest = aten("amin", self, dims, keep);
    largest = aten("amax", self, dims, keep);
}
ACLNN(aclnnAminmaxAll, Tensor self, Out smallest, Out largest) {
    smallest = aten("min", self);
    largest = aten("max", self);
}
// ATen has no histogram of integers; double holds what a device can tell apart.
ACLNN_CHECKED(aclnnHistc, Tensor self, Int bins, Scalar min, Scalar max, Out out) {
    require(bins > 0, "bins must be at least 1, got " + std::to_string(bins));
    out = aten("histc", is_integral(self.dtype()) ? self.to(DType::float64) : self, bins, min, max);
}
ACLNN(aclnnCumprod, Tensor self, Scalar dim, DType dtype, Out out) {
    out = aten("cumprod", self, static_cast<Int>(dim.to_double()), dtype);
}
