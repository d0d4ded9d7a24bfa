// Gathering, scattering, embeddings, and operators whose output shape depends on the data.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/indices.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnBucketize,               "bucketize.Tensor",          Tensor, Tensor, bool, bool, Out)
ATEN(aclnnEmbeddingBag,            "_embedding_bag",             Tensor, Tensor, Tensor, bool, Int, bool, Tensor, bool, Int, Out, Out, Out, Out)
ATEN(aclnnGather,                  "gather",                    Tensor, Int, Tensor, Out)
ATEN(aclnnIndexCopy,               "index_copy",                Tensor, Int, Tensor, Tensor, Out)
ATEN(aclnnIndexFill,               "index_fill.int_Scalar",     Tensor, Int, Tensor, Scalar, Out)
ATEN(aclnnInplaceIndexCopy,        "index_copy_",               InOut, Int, Tensor, Tensor)
ATEN(aclnnInplaceIndexFill,        "index_fill_.int_Scalar",    InOut, Int, Tensor, Scalar)
ATEN(aclnnInplaceMaskedFillScalar, "masked_fill_.Scalar",       InOut, Tensor, Scalar)
ATEN(aclnnInplaceMaskedScatter,    "masked_scatter_",           InOut, Tensor, Tensor)
ATEN(aclnnInplacePut,              "put_",                      InOut, Tensor, Tensor, bool)
ATEN(aclnnScatterAdd,              "scatter_add",               Tensor, Int, Tensor, Tensor, Out)
ATEN(aclnnTake,                    "take",                      Tensor, Tensor, Out)
// clang-format on

namespace {

// reduce: 0 replace, 1 add, 2 multiply
Tensor scatter(const Tensor& self, Int dim, const Tensor& index, const Tensor& source, Int reduce) {
    return reduce == 0
               ? aten("scatter.src", self, dim, index, source)
               : aten("scatter.reduce", self, dim, index, source, reduce == 1 ? "add" : "multiply");
}

Tensor like(const Tensor& index, const Scalar& value, const Tensor& self) {
    return full(index.sizes(), value, self.dtype());
}

}  // namespace

ACLNN_CHECKED(aclnnInplaceMaskedFillTensor, InOut self, Tensor mask, Tensor value) {
    require_one_element("value", value);
    aten("masked_fill_.Tensor", self.tensor, mask, value.reshape({}));
}
ACLNN(aclnnIndex, Tensor self, Tensors indices, Out out) {
    out = aten("index.Tensor", self, indices);
}
ACLNN(aclnnIndexPutImpl, InOut self, Tensors indices, Tensor values, bool accumulate,
      Unused<bool> unsafe) {
    (void)unsafe;
    bool any = false;
    for (const Tensor& index : indices) {
        any = any || (index.defined() && index.numel() != 0);
    }
    if (!any) {
        return;  // nothing is indexed
    }
    aten("index_put_", self.tensor, indices, values.to(self.tensor.dtype()), accumulate);
}
ACLNN_CHECKED(aclnnEmbedding, Tensor weight, Tensor indices, Out out) {
    out = aten("embedding", weight, checked_indices("indices", indices, weight.size(0)));
}
ACLNN_CHECKED(aclnnIndexSelect, Tensor self, Int dim, Tensor index, Out out) {
    const Int limit = self.dim() == 0 ? 1 : self.size(dim);
    out = aten("index_select", self, dim, checked_indices("index", index, limit));
}
ACLNN_CHECKED(aclnnIndexAdd, Tensor self, Int dim, Tensor index, Tensor source, Scalar alpha,
              Out out) {
    const Int limit = self.dim() == 0 ? 1 : self.size(dim);
    out = aten("index_add", self, dim, checked_indices("index", index, limit), source, alpha);
}
ACLNN(aclnnScatter, Tensor self, Int dim, Tensor index, Tensor source, Int reduce, Out out) {
    out = scatter(self, dim, index, source, reduce);
}
ACLNN(aclnnInplaceScatter, InOut self, Int dim, Tensor index, Tensor source, Int reduce) {
    self = scatter(self.tensor, dim, index, source, reduce);
}
ACLNN(aclnnScatterValue, Tensor self, Int dim, Tensor index, Scalar value, Int reduce, Out out) {
    out = scatter(self, dim, index, like(index, value, self), reduce);
}
ACLNN(aclnnInplaceScatterValue, InOut self, Int dim, Tensor index, Scalar value, Int reduce) {
    self = scatter(self.tensor, dim, index, like(index, value, self.tensor), reduce);
}
ACLNN(aclnnEmbeddingDenseBackward, Tensor grad, Tensor indices, UInt count, UInt padding,
      bool by_frequency, Out out) {
    const auto rows = static_cast<Int>(count);
    out = aten("embedding_dense_backward", grad, checked_indices("indices", indices, rows), rows,
               static_cast<Int>(padding), by_frequency);
}
ACLNN(aclnnEmbeddingRenorm, InOut self, Tensor indices, double max_norm, double norm_type) {
    aten("embedding_renorm_", self.tensor, indices.to(DType::int64), max_norm, norm_type);
}
ACLNN(aclnnSearchSorted, Tensor sorted, Tensor self, bool int32_result, bool right,
      Optional<Tensor> sorter, Out out) {
    (void)int32_result;  // the output has the dtype
    out = aten("searchsorted.Tensor", sorted, self, false, right, Value(), sorter);
}
ACLNN(aclnnSearchSorteds, Tensor sorted, Scalar self, bool int32_result, bool right,
      Optional<Tensor> sorter, Out out) {
    (void)int32_result;
    out = aten("searchsorted.Scalar", sorted, self, false, right, Value(), sorter);
}

// Outputs whose shape depends on the data.
ACLNN(aclnnNonzero, Tensor self, DynamicOut out) { out = aten("nonzero", self); }
ACLNN(aclnnNonzeroV2, Tensor self, DynamicOut out) {  // [dimensions, count]
    out = aten("nonzero", self).transpose(0, 1);
}
ACLNN(aclnnMaskedSelect, Tensor self, Tensor mask, DynamicOut out) {
    out = aten("masked_select", self, mask);
}
ACLNN(aclnnUnique, Tensor self, bool sorted, bool return_inverse, DynamicOut values, Out inverse) {
    const TensorList found = aten_all("_unique", self, sorted, return_inverse);
    values = found[0];
    if (return_inverse) {
        inverse = found[1];
    }
}
ACLNN(aclnnUnique2, Tensor self, bool sorted, bool return_inverse, bool return_counts,
      DynamicOut values, DynamicOut inverse, DynamicOut counts) {
    const TensorList found = aten_all("_unique2", self, sorted, return_inverse, return_counts);
    values = found[0];
    inverse = return_inverse || return_counts ? found[1] : Tensor();
    counts = return_counts ? found[2] : Tensor();
}
ACLNN(aclnnUniqueConsecutive, Tensor self, bool return_inverse, bool return_counts, Int dim,
      DynamicOut values, DynamicOut inverse, DynamicOut counts) {
    constexpr Int no_dim = 1000;
    const Value chosen = dim == no_dim ? Value() : Value(dim);
    const TensorList found =
        aten_all("unique_consecutive", self, return_inverse, return_counts, chosen);
    values = found[0];
    inverse = return_inverse ? found[1] : Tensor();
    counts = return_counts ? found[2] : Tensor();
}
ACLNN(aclnnUniqueDim, Tensor self, bool sorted, bool return_inverse, Int dim, DynamicOut values,
      DynamicOut inverse, DynamicOut counts) {
    const TensorList found = aten_all("unique_dim", self, dim, sorted, return_inverse, true);
    values = found[0];
    inverse = found[1];
    counts = found[2];
}
