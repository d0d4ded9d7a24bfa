// Flash attention, forward and backward, as its plain fp32 formula.
#include "aclnn/operation.h"

using namespace ascend_emulator;

#include <stdexcept>

#include "ops/packed_mask.h"

namespace {

/// How the heads lie in a tensor; computed as [batch, heads, sequence, head dimension].
struct Layout {
    String name;
    Int heads;

    Tensor to_bnsd(const Tensor& x, Int count) const {
        if (name == "BNSD") {
            return x;
        }
        if (name == "BSND") {
            return x.permute({0, 2, 1, 3});
        }
        if (name == "BSH") {
            return x.reshape({x.size(0), x.size(1), count, -1}).permute({0, 2, 1, 3});
        }
        if (name == "SBH") {
            return x.reshape({x.size(0), x.size(1), count, -1}).permute({1, 2, 0, 3});
        }
        throw std::runtime_error("the attention layout " + name + " is not emulated");
    }
    Tensor from_bnsd(const Tensor& x) const {
        if (name == "BNSD") {
            return x;
        }
        if (name == "BSND") {
            return x.permute({0, 2, 1, 3});
        }
        if (name == "BSH") {
            return x.permute({0, 2, 1, 3}).reshape({x.size(0), x.size(2), -1});
        }
        return x.permute({2, 0, 1, 3}).reshape({x.size(2), x.size(0), -1});
    }
    Int kv_heads(const Tensor& query, const Tensor& key) const {
        if (name == "BNSD") {
            return key.size(1);
        }
        return name == "BSND" ? key.size(2) : key.size(2) / (query.size(2) / heads);
    }
};

Tensor either(const Tensor& a, const Tensor& b) { return aten("logical_or", a, b); }
Tensor below(const Tensor& x, Int limit) { return aten("lt.Scalar", x, limit); }
Tensor above(const Tensor& x, Int limit) { return aten("gt.Scalar", x, limit); }

struct Window {
    Int sparse_mode;
    Int before;
    Int after;
};

/// True where a score does not count; undefined where all do. Modes 2, 3 and 4 come with a
/// compressed mask, which says no more than the mode.
Tensor masked_out(Int queries, Int keys, const Tensor& mask, const Window& window) {
    const Tensor offset =
        aten("unsqueeze", arange(keys), 0) - aten("unsqueeze", arange(queries), 1);
    const Int shift = keys - queries;
    switch (window.sparse_mode) {
        case 0:
            return mask.defined()
                       ? either(mask.to(DType::boolean),
                                either(below(offset, -window.before), above(offset, window.after)))
                       : Tensor();
        case 1:
            return mask.to(DType::boolean);
        case 2:
            return above(offset, 0);
        case 3:
            return above(offset, shift);
        case 4:
            return either(below(offset, shift - window.before),
                          above(offset, shift + window.after));
        default:
            throw std::runtime_error("sparse mode " + std::to_string(window.sparse_mode) +
                                     " is not emulated");
    }
}

struct Inputs {
    Tensor query;
    Tensor key;
    Tensor value;
    Tensor bias;  // "pse", added to the scores
    Tensor drop_mask;
    Tensor mask;
    double scale;
    double keep_probability;
    Window window;
};

struct Attention {
    Tensor query;
    Tensor key;  // repeated for the query heads that share it
    Tensor value;
    Tensor probabilities;
    Tensor keep;  // of dropout, scaled; undefined without
    Tensor max;
    Tensor sum;
    Int group;

    Tensor dropped() const { return keep.defined() ? probabilities * keep : probabilities; }
};

Tensor given(const Tensor& x) { return x.defined() && x.numel() != 0 ? x : Tensor(); }

Attention attend(const Layout& layout, const Inputs& in) {
    Attention a;
    const Int kv_heads = layout.kv_heads(in.query, in.key);
    a.group = layout.heads / kv_heads;
    const auto repeated = [&](const Tensor& x) {
        return aten("repeat_interleave.self_int", layout.to_bnsd(x, kv_heads).to_float(), a.group,
                    1);
    };
    a.query = layout.to_bnsd(in.query, layout.heads).to_float();
    a.key = repeated(in.key);
    a.value = repeated(in.value);
    Tensor scores = aten("matmul", a.query, a.key.transpose(2, 3)) * in.scale;
    if (given(in.bias).defined()) {
        scores = scores + in.bias.to_float();
    }
    const Tensor out = masked_out(scores.size(2), scores.size(3), given(in.mask), in.window);
    if (out.defined()) {
        scores = aten("masked_fill.Scalar", scores, out, -1e30);
    }
    a.max = aten("amax", scores, IntList{-1}, true);
    const Tensor exponentials = aten("exp", scores - a.max);
    a.sum = exponentials.sum({-1}, true);
    a.probabilities = exponentials / a.sum;
    if (out.defined()) {
        a.probabilities = aten("masked_fill.Scalar", a.probabilities, out, 0.0);
    }
    if (given(in.drop_mask).defined() && in.keep_probability < 1) {
        a.keep = unpack_mask(in.drop_mask, a.probabilities.sizes()) / in.keep_probability;
    }
    return a;
}

/// The gradient of a head that several query heads share.
Tensor sum_groups(const Tensor& x, Int group) {
    return group == 1
               ? x
               : x.reshape({x.size(0), x.size(1) / group, group, x.size(2), x.size(3)}).sum({2});
}

}  // namespace

// Unused: the padding mask, prefix, inner precision and the softmax output.
ACLNN(aclnnFlashAttentionScore, Tensor query, Tensor key, Tensor value, Tensor bias,
      Tensor drop_mask, Unused<Tensor>, Tensor mask, Unused<Ints>, double scale,
      double keep_probability, Int before, Int after, Int heads, String layout_name, Unused<Int>,
      Int sparse_mode, Out softmax_max, Out softmax_sum, Unused<Out>, Out out) {
    const Layout layout{layout_name, heads};
    const Attention a = attend(layout, {query,
                                        key,
                                        value,
                                        bias,
                                        drop_mask,
                                        mask,
                                        scale,
                                        keep_probability,
                                        {sparse_mode, before, after}});
    out = layout.from_bnsd(aten("matmul", a.dropped(), a.value));
    softmax_max = a.max;  // expanded to 8 equal columns
    softmax_sum = a.sum;
}

ACLNN(aclnnFlashAttentionScoreGrad, Tensor query, Tensor key, Tensor value, Tensor dy, Tensor bias,
      Tensor drop_mask, Unused<Tensor>, Tensor mask, Unused<Tensor>, Unused<Tensor>, Unused<Tensor>,
      Unused<Tensor>, Unused<Ints>, double scale, double keep_probability, Int before, Int after,
      Int heads, String layout_name, Unused<Int>, Int sparse_mode, Out dq, Out dk, Out dv,
      Unused<Out>) {
    const Layout layout{layout_name, heads};
    const Attention a = attend(layout, {query,
                                        key,
                                        value,
                                        bias,
                                        drop_mask,
                                        mask,
                                        scale,
                                        keep_probability,
                                        {sparse_mode, before, after}});
    const Tensor grad = layout.to_bnsd(dy, heads).to_float();
    Tensor dp = aten("matmul", grad, a.value.transpose(2, 3));
    if (a.keep.defined()) {
        dp = dp * a.keep;
    }
    const Tensor ds = a.probabilities * (dp - (dp * a.probabilities).sum({-1}, true));
    dq = layout.from_bnsd(aten("matmul", ds, a.key) * scale);
    dk = layout.from_bnsd(sum_groups(aten("matmul", ds.transpose(2, 3), a.query) * scale, a.group));
    dv = layout.from_bnsd(sum_groups(aten("matmul", a.dropped().transpose(2, 3), grad), a.group));
}
