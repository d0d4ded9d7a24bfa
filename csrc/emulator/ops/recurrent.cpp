// Layers that carry a state from token to token.
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

/// x moved by `steps` tokens, with zeros before (steps > 0) or after them.
Tensor moved(const Tensor& x, Int steps) {
    IntList rows(static_cast<std::size_t>(x.size(0)));
    for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i] = static_cast<Int>(i) - steps;
    }
    return gathered(x, rows);
}

Tensor masked(const Tensor& x, const Tensor& mask) {  // the mask is [B, S], x is [S, B, H]
    return mask.defined() ? x * aten("unsqueeze", mask.to_float().transpose(0, 1), -1) : x;
}

Tensor tap(const Tensor& weight, Int steps) {
    return aten("select.int", weight.to_float(), 0, weight.size(0) - 1 - steps);
}

void check_taps(const Tensor& weight) {
    require(weight.size(0) == 3, "weight must have 3 rows, got " + std::to_string(weight.size(0)));
}

}  // namespace

ACLNN_CHECKED(aclnnMaskedCausalConv1d, Tensor x, Tensor weight, Optional<Tensor> mask, Out out) {
    check_taps(weight);
    const Tensor wide = x.to_float();
    Tensor sum = wide * tap(weight, 0);
    for (Int steps = 1; steps < weight.size(0); ++steps) {
        sum = sum + moved(wide, steps) * tap(weight, steps);
    }
    out = masked(sum, mask);
}
ACLNN_CHECKED(aclnnMaskedCausalConv1dBackward, Tensor gradY, Tensor x, Tensor weight,
              Optional<Tensor> mask, Out gradX, Out gradWeight) {
    check_taps(weight);
    const Tensor grad = masked(gradY.to_float(), mask);
    const Tensor wide = x.to_float();
    Tensor sum = grad * tap(weight, 0);
    TensorList taps;
    for (Int steps = weight.size(0) - 1; steps > 0; --steps) {
        sum = sum + moved(grad, -steps) * tap(weight, steps);
        taps.push_back((grad * moved(wide, steps)).sum({0, 1}));
    }
    taps.push_back((grad * wide).sum({0, 1}));
    gradX = sum;
    gradWeight = aten("stack", taps, 0);
}

namespace {

struct GatedDelta {
    Tensor query;  // [tokens, key heads, key size], scaled
    Tensor key;    // the same
    Tensor value;  // [tokens, value heads, value size]
    Tensor beta;   // [tokens, value heads]
    Tensor decay;  // [tokens, value heads, 1 or key size]

    /// The heads of one token, each key head repeated for its value heads: [value heads, 1, size].
    static Tensor heads(const Tensor& x, Int token, Int count) {
        const Tensor own = aten("select.int", x, 0, token);
        return aten("unsqueeze", aten("repeat_interleave.self_int", own, count / own.size(0), 0),
                    1);
    }
    /// Change the state, [value heads, value size, key size], and return the token's output.
    Tensor step(Tensor& state, Int token) const {
        const Int count = value.size(1);
        const Tensor k = heads(key, token, count);
        const auto own = [&](const Tensor& x) { return aten("select.int", x, 0, token); };
        state = state * aten("unsqueeze", own(decay), 1);
        const Tensor seen = (state * k).sum({-1});
        const Tensor change = (own(value) - seen) * aten("unsqueeze", own(beta), -1);
        state = state + aten("unsqueeze", change, -1) * k;
        return (state * heads(query, token, count)).sum({-1});
    }
};

Tensor decay_of(const Tensor& g, const Tensor& gk, const Tensor& value, Int key_size) {
    Tensor exponent = full({value.size(0), value.size(1), key_size}, Scalar{0.0}, DType::float32);
    exponent = g.defined() ? exponent + aten("unsqueeze", g.to_float(), -1) : exponent;
    return aten("exp", gk.defined() ? exponent + gk.to_float() : exponent);
}

}  // namespace

// A sequence begins with the state of its last accepted token, and each token writes its own state.
ACLNN(aclnnRecurrentGatedDeltaRule, Tensor query, Tensor key, Tensor value, Tensor beta,
      InOut state, Tensor actualSeqLengths, Tensor ssmStateIndices, Optional<Tensor> g,
      Optional<Tensor> gk, Optional<Tensor> numAcceptedTokens, float scaleValue, Out out) {
    const GatedDelta rule = {query.to_float() * scaleValue, key.to_float(), value.to_float(),
                             beta.to_float(), decay_of(g, gk, value, key.size(-1))};
    const IntList lengths = integers_of(actualSeqLengths);
    const IntList slots = integers_of(ssmStateIndices);
    const IntList accepted =
        numAcceptedTokens.defined() ? integers_of(numAcceptedTokens) : IntList(lengths.size(), 1);
    Int begin = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        const auto slot = [&](Int token) {
            return aten("select.int", state.tensor, 0, slots[static_cast<std::size_t>(token)]);
        };
        Tensor current = slot(begin + accepted[i] - 1).to_float();
        for (Int token = begin; token < begin + lengths[i]; ++token) {
            assign(aten("select.int", out.tensor, 0, token), rule.step(current, token));
            assign(slot(token), current);
        }
        begin += lengths[i];
    }
}
