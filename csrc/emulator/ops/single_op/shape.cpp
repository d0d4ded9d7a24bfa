// Kernels of the single-operator interface that fill, move, select or order elements.
#include <algorithm>

#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"

using namespace ascend_emulator;

// dims, value -> y
SINGLE_OP(Fill) {
    operands.accept_attributes({});
    operands.output(0).fill(operands.input(1).reshape({}));
}

SINGLE_OP(BroadcastTo) {
    operands.accept_attributes({});
    operands.output(0) = operands.input(0).expand(operands.input_ints(1));
}

SINGLE_OP(Transpose) {
    operands.accept_attributes({});
    operands.output(0) = operands.input(0).permute(operands.input_ints(1)).contiguous();
}

SINGLE_OP(ConfusionTransposeD) {
    operands.accept_attributes({"perm", "shape", "transpose_first"});
    const IntList order = operands.ints("perm");
    const IntList sizes = operands.ints("shape");
    const Tensor x = operands.input(0);
    operands.output(0) = operands.flag("transpose_first")
                             ? x.permute(order).contiguous().reshape(sizes)
                             : x.reshape(sizes).permute(order).contiguous();
}

// x, offsets, sizes -> y. A size of -1 reaches to the end.
SINGLE_OP(Slice) {
    operands.accept_attributes({});
    Tensor x = operands.input(0);
    const IntList offsets = operands.input_ints(1);
    const IntList sizes = operands.input_ints(2);
    for (std::size_t i = 0; i < offsets.size(); ++i) {
        const auto dim = static_cast<Int>(i);
        const Int end = sizes[i] < 0 ? x.size(dim) : offsets[i] + sizes[i];
        x = aten("slice.Tensor", x, dim, offsets[i], end);
    }
    operands.output(0) = x;
}

// x, paddings -> y, with the paddings before and after each dimension in order.
SINGLE_OP(Pad) {
    operands.accept_attributes({});
    const IntList paddings = operands.input_ints(1);
    IntList reversed;  // ATen begins with the last dimension
    for (std::size_t i = paddings.size(); i >= 2; i -= 2) {
        reversed.insert(reversed.end(), {paddings[i - 2], paddings[i - 1]});
    }
    operands.output(0) = aten("constant_pad_nd", operands.input(0), reversed);
}

// x, start, end, value -> y: y[..., start[i, j] : end[i, j]] = value[i], in the dimension `axis`,
// and for row j of the dimension before the last one if `axis` is the last of several.
SINGLE_OP(MaskedFillRange) {
    operands.accept_attributes({"axis"});
    Tensor y = aten("clone", operands.input(0));
    const Int axis = static_cast<Int>(operands.number("axis", -1));
    const Int dim = axis < 0 ? axis + y.dim() : axis;
    const bool by_row = y.dim() > 1 && dim == y.dim() - 1;
    const IntList starts = operands.input_ints(1);
    const IntList ends = operands.input_ints(2);
    const Tensor values = operands.input(3);
    const Int columns = operands.input(1).size(1);
    for (std::size_t k = 0; k < starts.size(); ++k) {
        const Int i = static_cast<Int>(k) / columns;
        const Int j = static_cast<Int>(k) % columns;
        const Tensor rows = by_row ? aten("select.int", y, Int{0}, j) : y;
        const Int rows_dim = by_row ? dim - 1 : dim;
        const Tensor range = aten("slice.Tensor", rows, rows_dim, starts[k], ends[k]);
        aten("fill_.Tensor", range, aten("select.int", values, Int{0}, i).to(y.dtype()));
    }
    operands.output(0) = y;
}

SINGLE_OP(Sort) {
    operands.accept_attributes({"axis", "descending"});
    const TensorList sorted =
        aten_all("sort", operands.input(0), static_cast<Int>(operands.number("axis", -1)),
                 operands.flag("descending"));
    operands.output(0) = sorted[0];
    operands.output(1) = sorted[1];
}

SINGLE_OP(SortV2) {
    operands.accept_attributes({"axis", "descending"});
    operands.output(0) =
        aten("sort", operands.input(0), static_cast<Int>(operands.number("axis", -1)),
             operands.flag("descending"));
}

namespace {

/// x -> indices, values
void extreme_with_index(const SingleOpOperands& operands, const char* schema) {
    operands.accept_attributes({"dimension", "keep_dims"});
    const TensorList found =
        aten_all(schema, operands.input(0), static_cast<Int>(operands.number("dimension")),
                 operands.flag("keep_dims"));
    operands.output(0) = found[1];
    operands.output(1) = found[0];
}

}  // namespace

SINGLE_OP(ArgMaxWithValue) { extreme_with_index(operands, "max.dim"); }
SINGLE_OP(ArgMinWithValue) { extreme_with_index(operands, "min.dim"); }

// x, indices, updates -> x with an update at the index of each row of `dimension`
SINGLE_OP(ArgMaxGrad) {
    operands.accept_attributes({"dimension"});
    const Tensor x = operands.input(0);
    const Int given = static_cast<Int>(operands.number("dimension"));
    const Int dim = given < 0 ? given + x.dim() : given;
    IntList rows = x.sizes();
    rows[static_cast<std::size_t>(dim)] = 1;
    operands.output(0) =
        aten("scatter.src", x, dim, operands.input(1).to(DType::int64).reshape(rows),
             operands.input(2).to(x.dtype()).reshape(rows));
}

// x1, x2 -> y: x1 + x2 in the first channels, which start at each offset. Blocks of channels that
// the inputs do not fill hold zeros.
SINGLE_OP(StrideAdd) {
    operands.accept_attributes({"x1_c1_offset", "x2_c1_offset", "c1_len"});
    constexpr Int block = 16;  // channels
    const Int length = static_cast<Int>(operands.number("c1_len")) * block;
    const auto part = [&](std::size_t index, const char* offset) {
        const Int first = static_cast<Int>(operands.number(offset)) * block;
        const Tensor x = operands.input(index);
        IntList padding(static_cast<std::size_t>(2 * (x.dim() - 1)), 0);
        padding.back() = std::max(Int{0}, first + length - x.size(1));
        return aten("slice.Tensor", aten("constant_pad_nd", x, padding, Scalar{0.0}), Int{1}, first,
                    first + length);
    };
    operands.output(0) = part(0, "x1_c1_offset") + part(1, "x2_c1_offset");
}

// x, sizes, strides, offset -> y
SINGLE_OP(AsStrided) {
    operands.accept_attributes({});
    operands.output(0) = aten("as_strided", operands.input(0), operands.input_ints(1),
                              operands.input_ints(2), operands.input_ints(3).at(0))
                             .contiguous();
}

// x, value of its indices, value elsewhere -> y, with a dimension of `depth` more
SINGLE_OP(OneHotD) {
    operands.accept_attributes({"axis", "depth"});
    const Out y = operands.output(0);
    const Int given = static_cast<Int>(operands.number("axis", -1));
    const Int axis = given < 0 ? given + y.tensor.dim() : given;
    const Tensor places = aten("arange", Scalar{static_cast<Int>(operands.number("depth"))});
    const Tensor hits = aten("eq.Tensor", aten("unsqueeze", operands.input(0), -1), places);
    y = aten("where.self", aten("movedim.int", hits, Int{-1}, axis), operands.input(1),
             operands.input(2));
}
