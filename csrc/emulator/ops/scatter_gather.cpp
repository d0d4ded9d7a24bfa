// Gathering and scattering of rows, slices and windows.
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

Int wrapped(Int dim, Int rank) { return dim < 0 ? dim + rank : dim; }

IntList slice(const IntList& values, Int begin, Int end) {
    return {values.begin() + begin, values.begin() + end};
}

const char* reduction(Int reduce) {
    constexpr const char* names[] = {"", "sum", "prod", "amax", "amin", "mean"};
    require(reduce >= 0 && reduce <= 5, "reduction must be 0 to 5, got " + std::to_string(reduce));
    return names[reduce];
}

Tensor scatter_reduced(const Tensor& self, Int dim, const Tensor& index, const Tensor& source,
                       Int reduce, bool include_self) {
    const Tensor indices = index.to(DType::int64);
    return reduce == 0 ? aten("scatter.src", self, dim, indices, source)
                       : aten("scatter_reduce.two", self, dim, indices, source, reduction(reduce),
                              include_self);
}

}  // namespace

// mode is a hint about the order of the indices.
ACLNN(aclnnGatherV3, Tensor self, Int dim, Tensor index, REFUSED(Int, batchDims), Unused<Int>,
      Out out) {
    const Int axis = wrapped(dim, self.dim());
    const Tensor found = aten("index_select", self, axis, index.to(DType::int64).reshape({-1}));
    IntList sizes = slice(self.sizes(), 0, axis);
    for (const Int size : index.sizes()) {
        sizes.push_back(size);
    }
    for (const Int size : slice(self.sizes(), axis + 1, self.dim())) {
        sizes.push_back(size);
    }
    out = found.reshape(sizes);
}
ACLNN(aclnnScatterReduce, Tensor self, Int dim, Tensor index, Tensor source, Int reduction,
      bool includeSelf, Out out) {
    out = scatter_reduced(self, dim, index, source, reduction, includeSelf);
}
ACLNN(aclnnInplaceScatterReduce, InOut self, Int dim, Tensor index, Tensor source, Int reduction,
      bool includeSelf) {
    self = scatter_reduced(self.tensor, dim, index, source, reduction, includeSelf);
}
ACLNN(aclnnScatterNdUpdate, InOut var, Tensor indices, Tensor updates) {
    TensorList columns;
    for (Int i = 0; i < indices.size(-1); ++i) {
        columns.push_back(aten("select.int", indices.to(DType::int64), -1, i));
    }
    aten("index_put_", var.tensor, columns, updates, false);
}
// Tensor i of the list changes from indice[i] on; a mask of 0 leaves it as it is.
ACLNN(aclnnScatterList, InOuts var, Tensor indice, Tensor updates, Optional<Tensor> mask,
      String reduce, Int axis) {
    require(reduce == "update", "reduce must be update, got " + reduce);
    if (indice.dim() != 1) {
        not_emulated("indice with " + std::to_string(indice.dim()) + " dimensions");
    }
    const IntList starts = integers_of(indice);
    const IntList kept = mask.defined() ? integers_of(mask) : IntList(starts.size(), 1);
    require(starts.size() == var.tensors.size() && kept.size() == starts.size(),
            "indice and mask must have one element per tensor of var");
    for (std::size_t i = 0; i < starts.size(); ++i) {
        if (kept[i] == 0) {
            continue;
        }
        const Tensor& target = var.tensors[i];
        const Tensor source = aten("select.int", updates, 0, static_cast<Int>(i));
        const Int dim = wrapped(axis, target.dim());
        const Int end = starts[i] + source.size(dim);
        require(starts[i] >= 0 && end <= target.size(dim),
                "indice must be 0 to " + std::to_string(target.size(dim) - source.size(dim)) +
                    ", got " + std::to_string(starts[i]));
        assign(aten("slice.Tensor", target, dim, starts[i], end), source);
    }
}

// The gradient of repeat_interleave: the sum of the copies of each row.
ACLNN(aclnnRepeatInterleaveGrad, Tensor grad, Tensor repeats, Int axis, Out out) {
    const Int dim = wrapped(axis, grad.dim());
    const Tensor by_axis = grad.transpose(0, dim);
    IntList counts = integers_of(repeats);
    if (counts.size() == 1) {
        require(counts[0] > 0 && by_axis.size(0) % counts[0] == 0,
                "repeats must divide " + std::to_string(by_axis.size(0)) + ", got " +
                    std::to_string(counts[0]));
        counts.assign(static_cast<std::size_t>(by_axis.size(0) / counts[0]), counts[0]);
    }
    IntList source_of;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        source_of.insert(source_of.end(), static_cast<std::size_t>(counts[i]), static_cast<Int>(i));
    }
    require(static_cast<Int>(source_of.size()) == by_axis.size(0),
            "repeats must add up to " + std::to_string(by_axis.size(0)) + ", got " +
                std::to_string(source_of.size()));
    const Tensor sums = scattered(by_axis, source_of, static_cast<Int>(counts.size()));
    out = sums.transpose(0, dim).reshape(out.tensor.sizes());
}
ACLNN(aclnnUnfoldGrad, Tensor grad, Ints inputSizes, Int dim, Int size, Int step, Out out) {
    out = aten("unfold_backward", grad.to_float(), inputSizes, dim, size, step);
}
ACLNN(aclnnIm2colBackward, Tensor grad, Ints inputSize, Ints kernelSize, Ints dilation,
      Ints padding, Ints stride, Out out) {
    out = aten("col2im", grad.to_float(), inputSize, kernelSize, dilation, padding, stride);
}

namespace {

bool has_bit(Int mask, std::size_t i) { return ((mask >> i) & 1) != 0; }

Int limited(Int value, Int size, bool forwards) {
    value = value < 0 ? value + size : value;
    return forwards ? std::min(std::max(value, Int{0}), size)
                    : std::min(std::max(value, Int{-1}), size - 1);
}

/// Elements begin, begin + stride, ... before end, as indices.
IntList stepped(Int begin, Int end, Int stride) {
    IntList found;
    for (Int i = begin; stride > 0 ? i < end : i > end; i += stride) {
        found.push_back(i);
    }
    return found;
}

struct StridedSlice {
    Ints begin;
    Ints end;
    Ints strides;
    Int begin_mask;
    Int end_mask;
    Int ellipsis_mask;
    Int new_axis_mask;
    Int shrink_axis_mask;

    void check() const {
        require(begin.size() == end.size() && begin.size() == strides.size(),
                "begin, end and strides must have one length");
        for (const Int stride : strides) {
            require(stride != 0, "strides must not be 0");
        }
    }
    IntList indices(std::size_t i, Int size) const {
        if (has_bit(shrink_axis_mask, i)) {
            const Int index = begin[i] < 0 ? begin[i] + size : begin[i];
            require(index >= 0 && index < size, "begin must be less than " + std::to_string(size) +
                                                    ", got " + std::to_string(begin[i]));
            return {index};
        }
        const bool forwards = strides[i] > 0;
        const Int first =
            has_bit(begin_mask, i) ? (forwards ? 0 : size - 1) : limited(begin[i], size, forwards);
        const Int last =
            has_bit(end_mask, i) ? (forwards ? size : -1) : limited(end[i], size, forwards);
        return stepped(first, last, strides[i]);
    }
    /// The number of dimensions that an ellipsis stands for.
    Int skipped(Int rank) const {
        for (std::size_t i = 0; i < begin.size(); ++i) {
            rank -= has_bit(new_axis_mask, i) || has_bit(ellipsis_mask, i) ? 0 : 1;
        }
        return rank;
    }
    Tensor run(const Tensor& self) const {
        Tensor picked = self;
        IntList sizes;
        Int dim = 0;
        for (std::size_t i = 0; i < begin.size(); ++i) {
            if (has_bit(ellipsis_mask, i)) {
                for (Int last = dim + skipped(self.dim()); dim < last; ++dim) {
                    sizes.push_back(self.size(dim));
                }
            } else if (has_bit(new_axis_mask, i)) {
                sizes.push_back(1);
            } else {
                const IntList found = indices(i, self.size(dim));
                picked = aten("index_select", picked, dim++, integer_tensor(found));
                if (!has_bit(shrink_axis_mask, i)) {
                    sizes.push_back(static_cast<Int>(found.size()));
                }
            }
        }
        for (; dim < self.dim(); ++dim) {
            sizes.push_back(self.size(dim));
        }
        return picked.reshape(sizes);
    }
};

}  // namespace

ACLNN_CHECKED(aclnnStridedSlice, Tensor self, Ints begin, Ints end, Ints strides, Int beginMask,
              Int endMask, Int ellipsisMask, Int newAxisMask, Int shrinkAxisMask, Out out) {
    const StridedSlice slice = {begin,   end,          strides,     beginMask,
                                endMask, ellipsisMask, newAxisMask, shrinkAxisMask};
    slice.check();
    out = slice.run(self);
}
// clang-format off
ATEN(aclnnSplitWithSize,         "split_with_sizes",                Tensor, Ints, Int, Outs)
// clang-format on
