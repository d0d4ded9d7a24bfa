// Rotary position embeddings, as a permutation of the last dimension with signs, in fp32.
#include <stdexcept>

#include "emulator/aclnn/operation.h"

using namespace ascend_emulator;

namespace {

enum Mode : Int { kHalf = 0, kInterleave = 1, kQuarter = 2, kInterleaveHalf = 3 };

void require(bool holds, const char* what) {
    if (!holds) {
        throw std::runtime_error(std::string("rotary position embedding: expected ") + what);
    }
}

Tensor picked(const Tensor& x, IntList& index) {
    const auto count = static_cast<Int>(index.size());
    return aten("index_select", x, -1, tensor_at(index.data(), {count}, {1}, DType::int64));
}

/// Element i of the rotated x is sign[i] * ordered[partner[i]], where ordered[i] is x[order[i]].
struct Rotation {
    Rotation(Int size, Int mode)
        : order(static_cast<std::size_t>(size)),
          inverse(order),
          partner(order),
          sign(full({size}, {1.0}, DType::float32)) {
        const Int span = mode == kInterleave ? 2 : mode == kQuarter ? size / 2 : size;
        auto* signs = static_cast<float*>(sign.data());
        for (Int i = 0; i < size; ++i) {
            const auto at = static_cast<std::size_t>(i);
            const bool first = i % span < span / 2;
            partner[at] = first ? i + span / 2 : i - span / 2;
            signs[i] = first ? -1.0F : 1.0F;
            order[at] = mode != kInterleaveHalf ? i : first ? 2 * i : 2 * (i - size / 2) + 1;
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

/// What Atlas A2 and A3 take.
void check(const Tensor& x, const Tensor& cos, const Tensor& sin, Int mode) {
    const Int rank = x.dim();
    require(rank == 3 || rank == 4, "3 or 4 dimensions");
    require(mode >= kHalf && mode <= kInterleaveHalf, "a mode of 0 to 3");
    require(cos.sizes() == sin.sizes() && cos.dim() == rank, "cos and sin of one shape");
    require(cos.dtype() == x.dtype() && sin.dtype() == x.dtype(), "cos and sin in the dtype of x");
    const Int size = x.size(-1);
    require(cos.size(-1) == size, "one D");
    require(size < 896 && size % (mode == kQuarter ? 4 : 2) == 0, "an even D below 896");
    Int kept = 0;
    for (Int i = 0; i + 1 < rank; ++i) {
        require(cos.size(i) == x.size(i) || cos.size(i) == 1, "cos that x's shape holds");
        kept += cos.size(i) == x.size(i) && x.size(i) != 1 ? 1 : 0;
    }
    require(mode != kInterleave || kept <= 1, "cos of [1, 1, S, D], interleaved");
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

ACLNN(aclnnRotaryPositionEmbedding, Tensor x, Tensor cos, Tensor sin, Int mode, Out out) {
    check(x, cos, sin, mode);
    out = embedded(x, cos, sin, mode);
}

// Without x there are no gradients of cos and sin.
ACLNN(aclnnRotaryPositionEmbeddingGrad, Tensor dy, Tensor cos, Tensor sin, Tensor x, Int mode,
      Out dx, Out dcos, Out dsin) {
    check(dy, cos, sin, mode);
    require(dcos.defined() && dsin.defined(), "tensors for the gradients of cos and sin");
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
ACLNN(aclnnApplyRotaryPosEmb, InOut query, InOut key, Tensor cos, Tensor sin, Int layout) {
    require(layout == 1 || layout == 4, "a layout of 1 or 4");
    for (const InOut& side : {query, key}) {
        const Tensor& x = side.tensor;
        check(x, cos, sin, kHalf);
        require(x.dim() == (layout == 1 ? 4 : 3), "the dimensions of the layout");
        require(x.size(-1) == 128, "a D of 128");
        require(cos.size(-2) == 1 && cos.size(0) == x.size(0) && cos.size(-3) == x.size(-3),
                "cos of [B, S, 1, D] or [T, 1, D]");
        side = embedded(x, cos, sin, kHalf);
    }
}
