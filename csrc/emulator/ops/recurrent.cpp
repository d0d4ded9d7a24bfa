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

namespace {

struct ChunkedDelta {
    Tensor query;
    Tensor key;
    Tensor value;
    Tensor beta;
    Tensor state;
    Tensor lengths;
    Tensor g;

    void check(const Out& out, const Out& final_state) const {
        require_ascend910b_910_93_or_950();
        require(query.dim() == 3 && key.sizes() == query.sizes(),
                "query and key must have the same 3 dimensions");
        require(value.dim() == 3 && value.size(0) == query.size(0),
                "value must have 3 dimensions and the tokens of query");
        const Int heads = value.size(1);
        require(heads <= 64 && query.size(1) <= 64 && heads % query.size(1) == 0,
                "value must have at most 64 heads, a multiple of those of key, got " +
                    std::to_string(heads) + " and " + std::to_string(query.size(1)));
        require(query.size(2) <= 128 && value.size(2) <= 128,
                "the head_dims of key and value must be at most 128, got " +
                    std::to_string(query.size(2)) + " and " + std::to_string(value.size(2)));
        for (const Tensor& x : {query, key, value, beta, out.tensor}) {
            require(x.dtype() == DType::bfloat16,
                    std::string("query, key, value, beta and out must be bfloat16, got ") +
                        name_of(x.dtype()));
        }
        const IntList per_head = {value.size(0), heads};
        require(beta.sizes() == per_head, "beta must have one element per token and value head");
        require(!g.defined() || (g.sizes() == per_head && g.dtype() == DType::float32),
                "gOptional must have one float32 element per token and value head");
        require(lengths.dim() == 1 && lengths.dtype() == DType::int32,
                "actualSeqLengths must be one-dimensional and int32");
        const IntList states = {lengths.size(0), heads, value.size(2), query.size(2)};
        require(state.sizes() == states && final_state.tensor.sizes() == states,
                "initialState and finalState must have one state per sequence and value head");
        const DType dtype = state.dtype();
        require(dtype == DType::bfloat16 || (dtype == DType::float32 && is_ascend950()),
                std::string("initialState must be bfloat16, got ") + name_of(dtype));
        require(final_state.tensor.dtype() == dtype,
                "finalState must have the dtype of initialState");
    }
    IntList sizes() const {
        const IntList found = integers_of(lengths);
        Int sum = 0;
        for (const Int length : found) {
            require(length >= 0,
                    "actualSeqLengths must be at least 0, got " + std::to_string(length));
            sum += length;
        }
        require(sum == value.size(0), "actualSeqLengths must add up to the number of tokens, " +
                                          std::to_string(value.size(0)) + ", got " +
                                          std::to_string(sum));
        return found;
    }
};

}  // namespace

// Computed token by token: chunks, in which a device computes many tokens at once, change only the
// rounding.
ACLNN_CHECKED(aclnnChunkGatedDeltaRule, Tensor query, Tensor key, Tensor value, Tensor beta,
              Tensor initialState, Tensor actualSeqLengths, Optional<Tensor> gOptional,
              float scaleValue, Out out, Out finalState) {
    const ChunkedDelta chunks = {query,    key, value, beta, initialState, actualSeqLengths,
                                 gOptional};
    chunks.check(out, finalState);
    const IntList lengths = chunks.sizes();
    const GatedDelta rule = {query.to_float() * scaleValue, key.to_float(), value.to_float(),
                             beta.to_float(), decay_of(gOptional, Tensor(), value, key.size(-1))};
    Int token = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        const auto index = static_cast<Int>(i);
        Tensor current = aten("select.int", initialState, 0, index).to_float();
        for (const Int end = token + lengths[i]; token < end; ++token) {
            assign(aten("select.int", out.tensor, 0, token), rule.step(current, token));
        }
        assign(aten("select.int", finalState.tensor, 0, index), current);
    }
}
