// The attention formula that the functions for training share.
#include <limits>

#include "emulator/ops/attention/flash_attention.h"
#include "emulator/ops/attention/packed_mask.h"
#include "emulator/ops/checks.h"

namespace ascend_emulator {
namespace {

constexpr double masked_score = -1e30;

Tensor either(const Tensor& a, const Tensor& b) { return aten("logical_or", a, b); }
Tensor below(const Tensor& x, Int limit) { return aten("lt.Scalar", x, limit); }
Tensor above(const Tensor& x, Int limit) { return aten("gt.Scalar", x, limit); }

/// True where a score does not count, [batch, 1, queries, keys]: a causal mask aligned to the lower
/// right, except for the first `prefix` keys of each batch.
Tensor outside_prefix(const IntList& prefix, const Tensor& causal, Int keys) {
    TensorList batches;
    for (const Int length : prefix) {
        const Tensor beyond = aten("ge.Scalar", arange(keys), length);
        batches.push_back(aten("logical_and", causal, aten("unsqueeze", beyond, 0)));
    }
    return aten("unsqueeze", aten("stack", batches, 0), 1);
}

/// True where a score does not count; undefined if all count. Modes 2, 3, 4 and 6 come with a
/// compressed mask, which holds nothing that the mode does not.
Tensor masked_out(Int queries, Int keys, const AttentionInputs& in) {
    const Window& window = in.window;
    const Tensor mask = given(in.mask);
    const Tensor offset =
        aten("unsqueeze", arange(keys), 0) - aten("unsqueeze", arange(queries), 1);
    const Int shift = keys - queries;
    const auto beside = [&](Int from) {
        return either(below(offset, from - window.before), above(offset, from + window.after));
    };
    if (window.mode != 0 && !mask.defined()) {
        refuse("attenMask must be given in sparse mode " + std::to_string(window.mode));
    }
    switch (window.mode) {
        case 0:
            return mask.defined() ? either(mask.to(DType::boolean), beside(0)) : Tensor();
        case 1:
            return mask.to(DType::boolean);
        case 2:
            return above(offset, 0);
        case 3:
            return above(offset, shift);
        case 4:
            return beside(shift);
        case 5:
        case 6:
            if (!in.prefix.has_value() || static_cast<Int>(in.prefix->size()) != in.query.size(0)) {
                refuse("prefix must have one length per batch, " +
                       std::to_string(in.query.size(0)));
            }
            return outside_prefix(*in.prefix, above(offset, shift), keys);
        default:
            not_emulated("sparseMode " + std::to_string(window.mode));
    }
}

struct Probabilities {
    Tensor query;
    Tensor key;  // repeated for the query heads that share it
    Tensor value;
    Tensor of_keys;
    Tensor of_sink;  // undefined without one
    Tensor keep;     // the scaled dropout mask; undefined without dropout
    Tensor max;
    Tensor sum;
    Int group;

    Tensor dropped() const { return keep.defined() ? of_keys * keep : of_keys; }
};

void add_sink(Probabilities& a, const Tensor& sink) {
    const Tensor score = sink.to_float().reshape({1, sink.numel(), 1, 1});
    const Tensor max = aten("maximum", a.max, score);
    a.sum = a.sum * aten("exp", a.max - max) + aten("exp", score - max);
    a.max = max;
    a.of_sink = aten("exp", score - max) / a.sum;
}

Tensor scaled_bias(const AttentionInputs& in) {
    switch (in.pse_type) {
        case bias_after_scale:
            return in.bias.to_float();
        case bias_before_scale:
            return in.bias.to_float() * in.scale;
        default:
            not_emulated("pseType " + std::to_string(in.pse_type));
    }
}

Tensor with_rope(const Tensor& x, const Tensor& rope) {
    return given(rope).defined() ? aten("cat", TensorList{x, rope}, -1) : x;
}

/// The gradients of what `with_rope` joined.
struct Parted {
    Tensor of_x;
    Tensor of_rope;
};
Parted parted(const Tensor& grad, const Tensor& x, const Tensor& rope) {
    if (!given(rope).defined()) {
        return {grad, Tensor()};
    }
    const TensorList parts =
        aten_all("split_with_sizes", grad, IntList{x.size(-1), rope.size(-1)}, -1);
    return {parts[0], parts[1]};
}

Probabilities attend(const AttentionInputs& in) {
    Probabilities a;
    a.group = in.query.size(1) / in.key.size(1);
    const auto repeated = [&](const Tensor& x) {
        return aten("repeat_interleave.self_int", x.to_float(), a.group, 1);
    };
    a.query = with_rope(in.query, in.query_rope).to_float();
    a.key = repeated(with_rope(in.key, in.key_rope));
    a.value = repeated(in.value);
    Tensor scores = aten("matmul", a.query, a.key.transpose(2, 3)) * in.scale;
    Tensor out = masked_out(scores.size(2), scores.size(3), in);
    if (given(in.bias).defined()) {
        scores = scores + scaled_bias(in);
        const Tensor nothing = aten("eq.Scalar", scores, -std::numeric_limits<double>::infinity());
        out = out.defined() ? either(out, nothing) : nothing;
    }
    if (out.defined()) {
        scores = aten("masked_fill.Scalar", scores, out, masked_score);
    }
    a.max = aten("amax", scores, IntList{-1}, true);
    a.sum = aten("exp", scores - a.max).sum({-1}, true);
    if (given(in.sink).defined()) {
        add_sink(a, in.sink);
    }
    a.of_keys = aten("exp", scores - a.max) / a.sum;
    if (out.defined()) {
        a.of_keys = aten("masked_fill.Scalar", a.of_keys, out, 0.0);
    }
    if (given(in.drop_mask).defined() && in.keep_probability < 1) {
        a.keep = unpack_mask(in.drop_mask, a.of_keys.sizes()) / in.keep_probability;
    }
    return a;
}

/// The gradient of the bias, summed over the dimensions that it was broadcast to.
Tensor bias_gradient(const AttentionInputs& in, const Tensor& ds) {
    if (!given(in.bias).defined()) {
        return {};
    }
    const Tensor grad = in.pse_type == bias_after_scale ? ds : ds * in.scale;
    return aten("sum_to_size", grad, in.bias.sizes());
}

/// Sum the gradients of a key head over the `group` query heads that share it.
Tensor sum_groups(const Tensor& x, Int group) {
    return group == 1
               ? x
               : x.reshape({x.size(0), x.size(1) / group, group, x.size(2), x.size(3)}).sum({2});
}

}  // namespace

Tensor sequence(const Tensor& x, Int begin, Int end) {
    return aten("unsqueeze", aten("slice.Tensor", x, 0, begin, end).permute({1, 0, 2}), 0);
}

Tensor tokens(const Tensor& x) { return aten("squeeze.dim", x, 0).permute({1, 0, 2}); }

void check_emulated(const AttentionInputs& in) {
    if (given(in.bias).defined() && in.pse_type != bias_after_scale &&
        in.pse_type != bias_before_scale) {
        not_emulated("pseType " + std::to_string(in.pse_type));
    }
    require(given(in.query_rope).defined() == given(in.key_rope).defined(),
            "queryRope and keyRope must be given together");
}

AttentionResult attention(const AttentionInputs& inputs) {
    const Probabilities a = attend(inputs);
    return {aten("matmul", a.dropped(), a.value), a.max, a.sum};
}

AttentionGradients attention_gradients(const AttentionInputs& inputs, const Tensor& grad_output) {
    const Probabilities a = attend(inputs);
    const Tensor grad = grad_output.to_float();
    Tensor dp = aten("matmul", grad, a.value.transpose(2, 3));
    if (a.keep.defined()) {
        dp = dp * a.keep;
    }
    const Tensor row = (dp * a.of_keys).sum({-1}, true);
    const Tensor ds = a.of_keys * (dp - row);
    const double scale = inputs.scale;
    const Parted query = parted(aten("matmul", ds, a.key) * scale, inputs.query, inputs.query_rope);
    const Parted key =
        parted(sum_groups(aten("matmul", ds.transpose(2, 3), a.query) * scale, a.group), inputs.key,
               inputs.key_rope);
    return {query.of_x,
            key.of_x,
            sum_groups(aten("matmul", a.dropped().transpose(2, 3), grad), a.group),
            a.of_sink.defined() ? -(a.of_sink * row).sum({0, 2, 3}) : Tensor(),
            bias_gradient(inputs, ds),
            query.of_rope,
            key.of_rope};
}

}  // namespace ascend_emulator
