// float4 with two levels of scales: float32 for 512 elements, a power of two for 32.
#include "emulator/ops/checks.h"
#include "emulator/ops/quantization/mx.h"
#include "emulator/ops/quantization/product.h"

using namespace ascend_emulator;

namespace {

constexpr Int outer_block = 512;
constexpr Int inner_block = 32;

void check_blocks(const char* outer_name, Int outer, const char* inner_name, Int inner) {
    require(outer == outer_block,
            std::string(outer_name) + " must be 512, got " + std::to_string(outer));
    require(inner == inner_block,
            std::string(inner_name) + " must be 32, got " + std::to_string(inner));
}

/// torch_npu passes weights in a private format as bytes.
Tensor as_float4(const char* name, const Tensor& x) {
    const DType dtype = x.dtype();
    require(dtype == DType::float4_e2m1 || dtype == DType::int8 || dtype == DType::uint8,
            std::string(name) + " must be float4_e2m1, got " + name_of(dtype));
    return dtype == DType::float4_e2m1 ? x : aten("view.dtype", x.contiguous(), DType::float4_e2m1);
}

}  // namespace

ACLNN_CHECKED(aclnnDynamicDualLevelMxQuant, Tensor x, REFUSED(Tensor, smoothScale),
              String roundMode, Int level0BlockSize, Int level1BlockSize, Out y, Out level0Scale,
              Out level1Scale) {
    const MxQuantization mx{ACL_FLOAT4_E2M1, 0, roundMode};
    mx.check(y);
    check_blocks("level0BlockSize", level0BlockSize, "level1BlockSize", level1BlockSize);
    mx.run_two_levels(x.to_float(), x.dtype(), y, level0Scale, level1Scale);
}

ACLNN_CHECKED(aclnnDualLevelQuantMatmulWeightNz, Tensor x1, Tensor x2, Tensor x1Level0Scale,
              Tensor x2Level0Scale, Tensor x1Level1Scale, Tensor x2Level1Scale,
              Optional<Tensor> bias, REFUSED(bool, transposeX1), bool transposeX2,
              Int level0GroupSize, Int level1GroupSize, Out out) {
    require_ascend950();
    require(transposeX2, "transposeX2 must be true, got false");
    check_blocks("level0GroupSize", level0GroupSize, "level1GroupSize", level1GroupSize);
    require(x1.dim() == 2 && x2.dim() == 2, "x1 and x2 must have 2 dimensions");
    const Tensor left = from_mx(as_float4("x1", x1), x1Level1Scale, -1, inner_block);
    const Tensor right = from_mx(as_float4("x2", x2), x2Level1Scale, -1, inner_block);
    out = dequantized_product(left, right.transpose(0, 1),
                              {x1Level0Scale, x2Level0Scale, {}, {}, bias, outer_block});
}
