// Quantization after products with rotations.
#include "emulator/ops/checks.h"
#include "emulator/ops/quantization/mx.h"
#include "emulator/ops/quantization/quantized.h"

using namespace ascend_emulator;

namespace {

Int mx_type_of(DType dtype) {
    return dtype == DType::float4_e2m1     ? ACL_FLOAT4_E2M1
           : dtype == DType::float8_e4m3fn ? ACL_FLOAT8_E4M3FN
           : dtype == DType::float8_e5m2   ? ACL_FLOAT8_E5M2
                                           : -1;
}

/// x is [m, n1, n2]; its matrices are multiplied from both sides. An empty right one is left out.
Tensor multiplied(const Tensor& x, const Tensor& left, const Tensor& right) {
    const Tensor wide = x.to_float();
    return aten("matmul", left.to_float(),
                given(right).defined() ? aten("matmul", wide, right.to_float()) : wide);
}

void flat_quant(const Tensor& values, double clip_ratio, const Out& y, const Out& scale) {
    const Tensor factor = aten("amax", aten("abs", values), IntList{1, 2}, true) /
                          (range_of(y.tensor.dtype()).max / clip_ratio);
    scale = factor.reshape(scale.tensor.sizes());
    store_quantized(y, values / factor);
}

/// Columns in groups of the size of the rotation, or each group with its own.
Tensor rotated_columns(const Tensor& x, const Tensor& rotation) {
    const Int size = rotation.size(-1);
    IntList sizes = x.sizes();
    sizes.back() = x.size(-1) / size;
    if (rotation.dim() == 3) {
        sizes.push_back(1);
    }
    sizes.push_back(size);
    return aten("matmul", x.to_float().reshape(sizes), rotation.to_float()).reshape(x.sizes());
}

/// Clamp each 32 columns to a part of their largest magnitude.
Tensor clamped_groups(const Tensor& x, double part) {
    if (!(part > 0 && part < 1)) {
        return x;
    }
    IntList sizes = x.sizes();
    sizes.back() /= 32;
    sizes.push_back(32);
    const Tensor groups = x.reshape(sizes);
    const Tensor limit = aten("amax", aten("abs", groups), IntList{-1}, true) * part;
    return aten("minimum", aten("maximum", groups, -limit), limit).reshape(x.sizes());
}

}  // namespace

ACLNN_CHECKED(aclnnFlatQuant, Tensor x, Tensor left, Tensor right, double clip_ratio, Out y,
              Out scale) {
    check_quantized_dtype("out", y.tensor.dtype());
    flat_quant(multiplied(x, left, right), clip_ratio, y, scale);
}
// clipRatio belongs to integers, dstTypeMax to float4.
ACLNN_CHECKED(aclnnFlatQuantV2, Tensor x, Tensor left, Tensor right, double clip_ratio,
              double dst_type_max, Out y, Out scale) {
    if (y.tensor.dtype() != DType::float4_e2m1) {
        check_quantized_dtype("out", y.tensor.dtype());
        require(dst_type_max == 0, "dstTypeMax must be 0 unless out is float4");
        flat_quant(multiplied(x, left, right), clip_ratio, y, scale);
        return;
    }
    const MxQuantization mx{ACL_FLOAT4_E2M1, dst_type_max == 0 ? 0 : 2, "", dst_type_max};
    mx.check(y);
    mx.run(multiplied(x, left, right).reshape({x.size(0), -1}), -1, y, scale);
}

ACLNN_CHECKED(aclnnRotateQuant, Tensor x, Tensor rotation, Optional<Tensor> alpha, Int axis,
              String round_mode, Int scaleAlg, double dstTypeMax, REFUSED(bool, trans), Out y,
              Out scale) {
    const Int size = rotation.size(-1);
    require(axis == -1 || axis == x.dim() - 1, "axis must be -1, got " + std::to_string(axis));
    require((rotation.dim() == 2 || rotation.dim() == 3) && rotation.size(-2) == size,
            "rotation must be [K, K] or [N / K, K, K]");
    require(x.size(-1) % size == 0,
            "the last dimension of x must be a multiple of K, " + std::to_string(size));
    const Int type = mx_type_of(y.tensor.dtype());
    if (type < 0) {
        check_quantized_dtype("y", y.tensor.dtype());
        require(!alpha.defined() && scaleAlg == 0 && dstTypeMax == 0 && rotation.dim() == 2,
                "alpha must be null, scaleAlg and dstTypeMax 0, and rotation [K, K] for integers");
        const DynamicQuantized found =
            quantize_rows(rotated_columns(x, rotation), y.tensor.dtype());
        store_quantized(y, found.values, round_mode);
        scale = found.scale;
        return;
    }
    const MxQuantization mx{type, scaleAlg, round_mode, dstTypeMax};
    mx.check(y);
    require(scaleAlg != 2 || dstTypeMax != 0, "dstTypeMax must be 6 to 12 with scaleAlg 2");
    const Tensor values = rotated_columns(x, rotation);
    mx.run(alpha.defined() ? clamped_groups(values, alpha.item()) : values, -1, y, scale);
}
