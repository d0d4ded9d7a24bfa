// Joining, moving, filling and making tensors.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnArange,                 "arange.start_step",             Scalar, Scalar, Scalar, Out)
ATEN(aclnnCat,                    "cat",                           Tensors, Int, Out)
ATEN(aclnnChunkCat,               "_chunk_cat",                    Tensors, Int, Int, Out)
ATEN(aclnnComplex,                "complex",                       Tensor, Tensor, Out)
ATEN(aclnnEye,                    "eye",                           Int, Int, Out)
ATEN(aclnnFlip,                   "flip",                          Tensor, Ints, Out)
ATEN(aclnnInplaceFillScalar, "fill_.Scalar", InOut, Scalar)
ATEN(aclnnInplaceTril,            "tril_",                         InOut, Int)
ATEN(aclnnInplaceTriu,            "triu_",                         InOut, Int)
ATEN(aclnnInplaceZero,       "zero_",        InOut)
ATEN(aclnnLinspace,               "linspace",                      Scalar, Scalar, Int, Out)
ATEN(aclnnLogSpace,               "logspace",                      Scalar, Scalar, Int, double, Out)
ATEN(aclnnPolar,                  "polar",                         Tensor, Tensor, Out)
ATEN(aclnnRange,                  "range.step",                    Scalar, Scalar, Scalar, Out)
ATEN(aclnnRepeat,            "repeat",       Tensor, Ints, Out)
ATEN(aclnnRoll,                   "roll",                          Tensor, Ints, Ints, Out)
ATEN(aclnnStack,                  "stack",                         Tensors, Int, Out)
ATEN(aclnnTril,                   "tril",                          Tensor, Int, Out)
ATEN(aclnnTriu,                   "triu",                          Tensor, Int, Out)
// clang-format on

// CANN takes the value in a tensor of one element, of any shape; ATen in one without dimensions.
ACLNN_CHECKED(aclnnInplaceFillTensor, InOut self, Tensor value) {
    require_one_element("value", value);
    aten("fill_.Tensor", self.tensor, value.reshape({}));
}
ACLNN(aclnnInplaceOne, InOut self) { aten("fill_.Scalar", self.tensor, 1); }
ACLNN(aclnnInplaceCopy, InOut self, Tensor source) {
    if (source.numel() == self.tensor.numel()) {
        self = source;
    } else {
        self.fill(source);
    }
}
ACLNN(aclnnCast, Tensor self, DType dtype, Out out) {
    (void)dtype;  // the output has it
    out = self;
}

// `size` is the number of elements of the result, which its shape gives as well.
ACLNN(aclnnRepeatInterleave, Tensor self, Tensor repeats, Int size, Out out) {
    (void)size;
    out = aten("repeat_interleave.self_Tensor", aten("flatten.using_ints", self), repeats);
}
ACLNN(aclnnRepeatInterleaveInt, Tensor self, Int repeats, Int size, Out out) {
    (void)size;
    out = aten("repeat_interleave.self_int", aten("flatten.using_ints", self), repeats);
}
ACLNN(aclnnRepeatInterleaveWithDim, Tensor self, Tensor repeats, Int dim, Int size, Out out) {
    (void)size;
    out = aten("repeat_interleave.self_Tensor", self, repeats, dim);
}
ACLNN(aclnnRepeatInterleaveIntWithDim, Tensor self, Int repeats, Int dim, Int size, Out out) {
    (void)size;
    out = aten("repeat_interleave.self_int", self, repeats, dim);
}
ACLNN(aclnnRepeatInterleaveTensor, Tensor repeats, Int size, Out out) {
    (void)size;
    out = aten("repeat_interleave.Tensor", repeats);
}

ACLNN(aclnnOneHot, Tensor self, Int32 classes, Tensor on, Tensor off, Int axis, Out out) {
    const Int rank = out.tensor.dim();
    IntList shape(static_cast<std::size_t>(rank), 1);
    shape[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)] = classes;
    const Tensor index = aten("unsqueeze", self.to(DType::int64), axis);
    const Tensor hot = aten("eq.Tensor", arange(classes).reshape(shape), index);
    out = aten("where.self", hot, on, off);
}
