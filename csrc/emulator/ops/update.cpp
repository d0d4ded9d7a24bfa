// Updates at indices, and rearrangements.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnAffineGrid,          "affine_grid_generator", Tensor, Ints, bool, Out)
// The mode tells whether the same index may occur twice.
ATEN(aclnnIndexAddV2,          "index_add",        Tensor, Int, Tensor, Tensor, Scalar, Unused<Int>, Out)
ATEN(aclnnInplaceFillDiagonal, "fill_diagonal_",   InOut, Scalar, bool)
ATEN(aclnnInplaceRoundDecimals, "round_.decimals", InOut, Int)
// clang-format on

ACLNN(aclnnIndexFillTensor, Tensor self, Int dim, Ints index, Scalar value, Out out) {
    out = aten("index_fill.int_Scalar", self, dim, integer_tensor(index), value);
}
ACLNN(aclnnInplaceIndexFillTensor, InOut self, Int dim, Ints index, Scalar value) {
    aten("index_fill_.int_Scalar", self.tensor, dim, integer_tensor(index), value);
}

// Each batch writes its updates from its own index on.
ACLNN(aclnnInplaceScatterUpdate, InOut data, Tensor indices, Tensor updates, Int axis) {
    const Int dim = axis < 0 ? axis + updates.dim() : axis;
    require(dim > 0, "axis must not be that of the batch, got " + std::to_string(axis));
    const IntList starts = integers_of(indices);
    const Int length = updates.size(dim);
    for (std::size_t i = 0; i < starts.size(); ++i) {
        const auto at = static_cast<Int>(i);
        const Int limit = data.tensor.size(dim) - length;
        require(
            starts[i] >= 0 && starts[i] <= limit,
            "indices must be 0 to " + std::to_string(limit) + ", got " + std::to_string(starts[i]));
        assign(aten("slice.Tensor", aten("select.int", data.tensor, 0, at), dim - 1, starts[i],
                    starts[i] + length),
               aten("select.int", updates, 0, at));
    }
}

ACLNN(aclnnConfusionTranspose, Tensor x, Ints perm, Ints shape, bool transposes_first, Out y) {
    y = transposes_first ? x.permute(perm).reshape(shape) : x.reshape(shape).permute(perm);
}
