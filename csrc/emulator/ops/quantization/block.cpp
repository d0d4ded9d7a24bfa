// Quantization with a scale per block of rows and columns, and a quantized convolution.
#include "emulator/ops/checks.h"
#include "emulator/ops/groups.h"
#include "emulator/ops/quantization/quantized.h"

using namespace ascend_emulator;

namespace {

Int ceil_div(Int a, Int b) { return (a + b - 1) / b; }

struct BlockQuantization {
    double min_scale;
    Int rows;
    Int columns;
    double max;  // the largest number of the result, or 0 for that of its dtype

    /// The scales of a matrix, [blocks of rows, blocks of columns].
    Tensor scales(const Tensor& x, DType dtype) const {
        const Int height = ceil_div(x.size(0), rows) * rows;
        const Int width = ceil_div(x.size(1), columns) * columns;
        const Tensor padded =
            aten("constant_pad_nd", aten("abs", x),
                 IntList{0, width - x.size(1), 0, height - x.size(0)}, Scalar{0.0});
        const Tensor blocks = padded.reshape({height / rows, rows, width / columns, columns});
        const double top = max > 0 ? max : range_of(dtype).max;
        const Tensor scale = aten("amax", blocks, IntList{1, 3}) / top;
        return min_scale > 0 ? aten("clamp_max", scale, 1 / min_scale) : scale;
    }

    /// A scale for each element.
    Tensor spread(const Tensor& scale, const Tensor& x) const {
        const Tensor tall = aten("repeat_interleave.self_int", scale, rows, 0).narrow(0, x.size(0));
        return aten("repeat_interleave.self_int", tall, columns, 1).narrow(1, x.size(1));
    }

    void run(const Tensor& x, const Out& y, const Out& scale, const String& mode) const {
        const Tensor found = scales(x, y.tensor.dtype());
        scale = found;
        store_quantized(y, x / spread(found, x), mode);
    }
};

Out part(const Out& out, Int index) {
    return {aten("select.int", out.tensor, 0, index), out.parameter};
}

void block_quant(const Tensor& x, const BlockQuantization& blocks, const String& mode, const Out& y,
                 const Out& scale) {
    check_quantized_dtype("y", y.tensor.dtype());
    require(y.tensor.dtype() != DType::int32 && y.tensor.dtype() != DType::int4,
            "y must be int8 or float8");
    const Tensor wide = x.to_float();
    if (x.dim() == 2) {
        blocks.run(wide, y, scale, mode);
        return;
    }
    for (Int i = 0; i < x.size(0); ++i) {
        blocks.run(aten("select.int", wide, 0, i), part(y, i), part(scale, i), mode);
    }
}

/// Blocks begin anew with each group of rows, whose scales follow one another.
void grouped_block_quant(const Tensor& x, const Tensor& group_list, Int list_type,
                         const BlockQuantization& blocks, const String& mode, const Out& y,
                         const Out& scale) {
    check_quantized_dtype("y", y.tensor.dtype());
    require(x.dim() == 2, "x must have 2 dimensions, got " + std::to_string(x.dim()));
    const Tensor wide = x.to_float();
    for (const Group& group : groups_of(group_list, list_type, x.size(0))) {
        // The place of a group's scales leaves room for a partial block of each group before it.
        const Int first = group.begin / blocks.rows + group.index;
        const Int count = ceil_div(group.end - group.begin, blocks.rows);
        if (count > 0) {
            blocks.run(rows(wide, group.begin, group.end),
                       {rows(y.tensor, group.begin, group.end), y.parameter},
                       {rows(scale.tensor, first, first + count), scale.parameter}, mode);
        }
    }
}

}  // namespace

// dstType is the dtype of y.
ACLNN_CHECKED(aclnnDynamicBlockQuant, Tensor x, double min_scale, String mode, Unused<Int>,
              Int row_size, Int column_size, Out y, Out scale) {
    block_quant(x, {min_scale, row_size, column_size, 0}, mode, y, scale);
}
ACLNN_CHECKED(aclnnDynamicBlockQuantV2, Tensor x, double min_scale, String mode, Unused<Int>,
              Int row_size, Int column_size, double max, Out y, Out scale) {
    block_quant(x, {min_scale, row_size, column_size, max}, mode, y, scale);
}
ACLNN_CHECKED(aclnnGroupedDynamicBlockQuant, Tensor x, Tensor group_list, double min_scale,
              String mode, Unused<Int>, Int row_size, Int column_size, Int list_type, Out y,
              Out scale) {
    grouped_block_quant(x, group_list, list_type, {min_scale, row_size, column_size, 0}, mode, y,
                        scale);
}
ACLNN_CHECKED(aclnnGroupedDynamicBlockQuantV2, Tensor x, Tensor group_list, double min_scale,
              String mode, Unused<Int>, Int row_size, Int column_size, Int list_type, double max,
              Out y, Out scale) {
    grouped_block_quant(x, group_list, list_type, {min_scale, row_size, column_size, max}, mode, y,
                        scale);
}

// offsetx and roundMode concern an Ascend 950.
ACLNN_CHECKED(aclnnQuantConvolution, Tensor x, Tensor weight, Optional<Tensor> bias, Tensor scale,
              REFUSED(Tensor, offset), Ints stride, Ints padding, Ints dilation,
              REFUSED(bool, transposed), Unused<Ints>, Int groups, REFUSED(Int32, offsetx),
              Unused<String>, Out y) {
    require(x.dtype() == DType::int8 && weight.dtype() == DType::int8,
            std::string("input and weight must be int8, got ") + name_of(x.dtype()) + " and " +
                name_of(weight.dtype()));
    const DType exact = DType::float64;
    const Tensor product = x.dim() == 5 ? aten("conv3d", x.to(exact), weight.to(exact), Tensor(),
                                               stride, padding, dilation, groups)
                                        : aten("conv2d", x.to(exact), weight.to(exact), Tensor(),
                                               stride, padding, dilation, groups);
    IntList per_channel(static_cast<std::size_t>(x.dim()), 1);
    per_channel[1] = weight.size(0);
    const Tensor scaled = product.to_float() * decode_scale(scale).reshape(per_channel);
    y = bias.defined() ? scaled + bias.to_float().reshape(per_channel) : scaled;
}
