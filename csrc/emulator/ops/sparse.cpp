// Sparse tensors in coordinate format.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/indices.h"

using namespace ascend_emulator;

// uniqueIndices names the place of each element among the distinct ones; equal elements are added.
ACLNN_CHECKED(aclnnCoalesceSparse, Tensor uniqueLen, Tensor uniqueIndices, Tensor indices,
              Tensor values, Out newIndices, Out newValues) {
    const Int count = uniqueLen.numel();
    require(indices.dim() == 2 && indices.size(0) == uniqueIndices.numel() &&
                values.size(0) == uniqueIndices.numel(),
            "indices and values must have one row per element of uniqueIndices");
    require(newIndices.tensor.size(0) == count && newValues.tensor.size(0) == count,
            "newIndices and newValues must have one row per element of uniqueLen");
    const Tensor places = checked_indices("uniqueIndices", uniqueIndices, count);
    IntList sizes = values.sizes();
    sizes[0] = count;
    const Tensor sums = full(sizes, Scalar{std::int64_t{0}}, values.dtype());
    newValues = aten("index_add", sums, 0, places, values);
    newIndices = aten("index_copy", newIndices.tensor, 0, places, indices);
}
