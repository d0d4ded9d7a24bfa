// Rotary position embeddings, as a permutation of the last dimension with signs, in fp32.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/slices.h"

using namespace ascend_emulator;

namespace {

enum Mode : Int { half = 0, interleave = 1, quarter = 2, interleave_half = 3 };

Tensor picked(const Tensor& x, IntList& index) {
    const auto count = static_cast<Int>(index.size());
    return aten("index_select", x, -1, tensor_at(index.data(), {count}, {1}, DType::int64));
}

/// Element i of the rotated x is sign[i] * ordered[partner[i]]; ordered[i] is x[order[i]].
struct Rotation {
    Rotation(Int size, Int mode)
        : order(static_cast<std::size_t>(size)),
          inverse(order),
          partner(order),
          sign(full({size}, {1.0}, DType::float32)) {
        const Int span = mode == interleave ? 2 : mode == quarter ? size / 2 : size;
        auto* signs = static_cast<float*>(sign.data());
        for (Int i = 0; i < size; ++i) {
            const auto at = static_cast<std::size_t>(i);
            const bool first = i % span < span / 2;
            partner[at] = first ? i + span / 2 : i - span / 2;
            signs[i] = first ? -1.0F : 1.0F;
            order[at] = mode != interleave_half ? i : first ? 2 * i : 2 * (i - size / 2) + 1;
            inverse[static_cast<std::size_t>(order[at])] = i;
        }
    }
    Tensor ordered(const Tensor& x) { return picked(x.to_float(), order); }
    Tensor rotated(const Tensor& x) { return picked(ordered(x), partner) * sign; }
    /// The transpose of `rotated`, and that of `ordered`.
    Tensor rotated_back(const Tensor& y) { return picked(y * sign, partner); }
    Tensor ordered_back(const Tensor& y) { return picked(y, inverse); }

    IntList order;
    IntList inverse;
    IntList partner;
    Tensor sign;
};

/// Refuse what Atlas A2 and A3 refuse.
void check(const Tensor& x, const Tensor& cos, const Tensor& sin, Int mode) {
    const Int rank = x.dim();
    require(rank == 3 || rank == 4, "x must have 3 or 4 dimensions, got " + std::to_string(rank));
    require(mode >= half && mode <= interleave_half,
            "mode must be 0 to 3, got " + std::to_string(mode));
    require(cos.sizes() == sin.sizes() && cos.dim() == rank,
            "cos and sin must have one shape and as many dimensions as x");
    require(cos.dtype() == x.dtype() && sin.dtype() == x.dtype(),
            "cos and sin must have the dtype of x");
    const Int size = x.size(-1);
    require(cos.size(-1) == size, "cos and sin must have the D of x, " + std::to_string(size));
    const Int multiple = mode == quarter ? 4 : 2;
    require(size < 896 && size % multiple == 0, "D must be a multiple of " +
                                                    std::to_string(multiple) + " below 896, got " +
                                                    std::to_string(size));
    Int kept = 0;
    for (Int i = 0; i + 1 < rank; ++i) {
        require(cos.size(i) == x.size(i) || cos.size(i) == 1,
                "the shape of cos must broadcast to that of x");
        kept += cos.size(i) == x.size(i) && x.size(i) != 1 ? 1 : 0;
    }
    require(mode != interleave || kept <= 1, "cos must be [1, 1, S, D] in mode 1");
}

Tensor sum_to(const Tensor& x, const Tensor& like) {
    IntList dims;
    for (Int i = 0; i < x.dim(); ++i) {
        if (like.size(i) != x.size(i)) {
            dims.push_back(i);
        }
    }
    return dims.empty() ? x : x.sum(dims, true);
}

Tensor embedded(const Tensor& x, const Tensor& cos, const Tensor& sin, Int mode) {
    Rotation rotation(x.size(-1), mode);
    return rotation.ordered(x) * cos.to_float() + rotation.rotated(x) * sin.to_float();
}

}  // namespace

ACLNN_CHECKED(aclnnRotaryPositionEmbedding, Tensor x, Tensor cos, Tensor sin, Int mode, Out out) {
    check(x, cos, sin, mode);
    out = embedded(x, cos, sin, mode);
}

// A matrix may give the rotation of x.
ACLNN_CHECKED(aclnnRotaryPositionEmbeddingV2, Tensor x, Tensor cos, Tensor sin, Int mode,
              Optional<Tensor> rotate, Out out) {
    check(x, cos, sin, mode);
    if (!rotate.defined()) {
        out = embedded(x, cos, sin, mode);
        return;
    }
    require(rotate.sizes() == IntList{x.size(-1), x.size(-1)}, "rotate must be [D, D]");
    const Tensor wide = x.to_float();
    out = wide * cos.to_float() + aten("matmul", wide, rotate.to_float()) * sin.to_float();
}

// Without x, cos and sin have no gradients.
ACLNN_CHECKED(aclnnRotaryPositionEmbeddingGrad, Tensor dy, Tensor cos, Tensor sin,
              Optional<Tensor> x, Int mode, Out dx, Optional<Out> dcos, Optional<Out> dsin) {
    check(dy, cos, sin, mode);
    require(dcos.defined() && dsin.defined(), "dcos and dsin must be given");
    Rotation rotation(dy.size(-1), mode);
    const Tensor grad = dy.to_float();
    dx =
        rotation.ordered_back(grad * cos.to_float() + rotation.rotated_back(grad * sin.to_float()));
    if (x.defined()) {
        dcos = sum_to(grad * rotation.ordered(x), cos);
        dsin = sum_to(grad * rotation.rotated(x), sin);
    }
}

// layout: 1 is [B, S, N, D], 4 is [T, N, D].
ACLNN_CHECKED(aclnnApplyRotaryPosEmb, InOut query, InOut key, Tensor cos, Tensor sin, Int layout) {
    require(layout == 1 || layout == 4, "layout must be 1 or 4, got " + std::to_string(layout));
    for (const InOut& side : {query, key}) {
        const Tensor& x = side.tensor;
        check(x, cos, sin, half);
        const Int rank = layout == 1 ? 4 : 3;
        require(x.dim() == rank, "query and key must have " + std::to_string(rank) +
                                     " dimensions, got " + std::to_string(x.dim()));
        require(x.size(-1) == 128, "D must be 128, got " + std::to_string(x.size(-1)));
        require(cos.size(-2) == 1 && cos.size(0) == x.size(0) && cos.size(-3) == x.size(-3),
                "cos must be [B, S, 1, D] or [T, 1, D]");
        side = embedded(x, cos, sin, half);
    }
}

namespace {

Mode mode_of(const String& name) {
    require(name == "half" || name == "interleave" || name == "quarter",
            "rotaryMode must be half, interleave or quarter, got " + name);
    return name == "half" ? half : name == "interleave" ? interleave : quarter;
}

/// An Ascend 950 takes all modes and layouts, and cosines that are narrower than D.
void check_in_place(const Tensor& x, const Tensor& cos, const Tensor& sin, Int layout, Mode mode) {
    const bool is_new = is_ascend950();
    require(is_new || layout == 1 || layout == 4,
            "layout must be 1 or 4, got " + std::to_string(layout));
    require(layout >= 1 && layout <= 4, "layout must be 1 to 4, got " + std::to_string(layout));
    require(is_new || mode == half, "rotaryMode must be half");
    const Int rank = layout == 4 ? 3 : 4;
    require(x.dim() == rank && cos.dim() == rank && sin.sizes() == cos.sizes(),
            "query, key, cos and sin must have " + std::to_string(rank) + " dimensions");
    require(cos.dtype() == x.dtype() && sin.dtype() == x.dtype(),
            "query, key, cos and sin must have one dtype");
    const Int size = x.size(-1);
    const Int turned = cos.size(-1);
    require(is_new || size == 64 || size == 128,
            "D must be 64 or 128, got " + std::to_string(size));
    require(is_new ? turned <= size : turned == size, "cos must have the D of query, " +
                                                          std::to_string(size) + ", got " +
                                                          std::to_string(turned));
    require(turned % (mode == quarter ? 4 : 2) == 0, "cos must have a whole number of pairs");
    const Int heads = layout == 3 ? 1 : rank - 2;
    require(cos.size(heads) == 1, "cos must have one head");
    for (Int i = 0; i + 1 < rank; ++i) {
        require(i == heads || cos.size(i) == x.size(i) || (is_new && cos.size(i) == 1),
                "cos must have the shape of query but for its heads");
    }
}

}  // namespace

// layout: 1 is [B, S, N, D], 2 is [S, B, N, D], 3 is [B, N, S, D], 4 is [T, N, D].
ACLNN_CHECKED(aclnnApplyRotaryPosEmbV2, InOut query, InOut key, Tensor cos, Tensor sin, Int layout,
              String rotaryMode) {
    const Mode mode = mode_of(rotaryMode);
    for (const InOut& side : {query, key}) {
        check_in_place(side.tensor, cos, sin, layout, mode);
    }
    for (const InOut& side : {query, key}) {
        const Tensor& x = side.tensor;
        const Int turned = cos.size(-1);
        const Tensor rotated = embedded(columns(x, 0, turned), cos, sin, mode);
        side = aten("cat", TensorList{rotated, columns(x, turned, x.size(-1)).to_float()}, -1);
    }
}
