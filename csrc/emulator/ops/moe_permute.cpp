// Mixture of experts: tokens are copied and sorted by expert, given the experts of each token or a
// map of tokens to experts, and the gradients.
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

/// As a slice [:count] of Python; 0 keeps all.
Int kept(Int total, Int count) {
    return count == 0  ? total
           : count > 0 ? std::min(total, count)
                       : std::max(total + count, Int{0});
}

}  // namespace

ACLNN_CHECKED(aclnnMoeTokenPermute, Tensor tokens, Tensor indices, Int numOutTokens,
              REFUSED(bool, paddedMode), Out permuteTokensOut, Out sortedIndicesOut) {
    const Int top_k = indices.dim() == 1 ? 1 : indices.size(1);
    require(indices.size(0) == tokens.size(0), "indices must have the rows of tokens, " +
                                                   std::to_string(tokens.size(0)) + ", got " +
                                                   std::to_string(indices.size(0)));
    IntList order = argsort(integers_of(indices));
    sortedIndicesOut = integer_tensor(inverse_of(order));
    order.resize(as_index(kept(indices.numel(), numOutTokens)));
    for (Int& pair : order) {
        pair /= top_k;
    }
    permuteTokensOut = gathered(tokens, order);
}
ACLNN_CHECKED(aclnnMoeTokenPermuteGrad, Tensor permutedOutputGrad, Tensor sortedIndices,
              Int numTopk, REFUSED(bool, paddedMode), Out out) {
    require(numTopk > 0 && numTopk <= 512,
            "numTopk must be 1 to 512, got " + std::to_string(numTopk));
    const Tensor rows = gathered(permutedOutputGrad.to_float(), integers_of(sortedIndices));
    out = rows.reshape({-1, numTopk, permutedOutputGrad.size(1)}).sum({1});
}

namespace {

/// Tokens that are sorted by expert, given which experts each token goes to.
struct RoutingMap {
    explicit RoutingMap(const Tensor& map)
        : chosen(integers_of(map)), tokens(map.size(0)), experts(map.size(1)) {}
    bool goes(Int token, Int expert) const {
        return chosen[as_index(token * experts + expert)] != 0;
    }

    /// The index in `probs` of each chosen pair, by expert.
    IntList by_expert() const {
        IntList found;
        for (Int expert = 0; expert < experts; ++expert) {
            for (Int token = 0; token < tokens; ++token) {
                if (goes(token, expert)) {
                    found.push_back(token * experts + expert);
                }
            }
        }
        return found;
    }
    /// The same with top_k places per token: its chosen pairs, then -1.
    IntList by_token(Int top_k) const {
        IntList found(as_index(tokens * top_k), -1);
        for (Int token = 0; token < tokens; ++token) {
            Int place = token * top_k;
            for (Int expert = 0; expert < experts; ++expert) {
                if (goes(token, expert)) {
                    require(place < (token + 1) * top_k,
                            "routingMap must choose at most " + std::to_string(top_k) +
                                " experts per token, got more for token " + std::to_string(token));
                    found[as_index(place++)] = token * experts + expert;
                }
            }
        }
        return found;
    }
    /// The first `capacity` tokens of each expert: those that go to it, then the others.
    IntList by_capacity(Int capacity) const {
        IntList found;
        for (Int expert = 0; expert < experts; ++expert) {
            IntList does_not_go(as_index(tokens));
            for (Int token = 0; token < tokens; ++token) {
                does_not_go[as_index(token)] = goes(token, expert) ? 0 : 1;
            }
            IntList order = argsort(does_not_go);
            order.resize(as_index(capacity));
            for (const Int token : order) {
                found.push_back(token * experts + expert);
            }
        }
        return found;
    }
    IntList tokens_of(IntList pairs) const {
        for (Int& pair : pairs) {
            pair /= experts;
        }
        return pairs;
    }
    /// Where each of these is among those by expert.
    IntList places(Int top_k) const {
        const IntList pairs = by_expert();
        IntList row_of(chosen.size(), -1);
        for (std::size_t row = 0; row < pairs.size(); ++row) {
            row_of[as_index(pairs[row])] = static_cast<Int>(row);
        }
        IntList found = by_token(top_k);
        for (Int& pair : found) {
            pair = pair < 0 ? -1 : row_of[as_index(pair)];
        }
        return found;
    }

    IntList chosen;
    Int tokens;
    Int experts;
};

/// Elements of a tensor by their index in it.
Tensor elements(const Tensor& x, const IntList& indices) {
    return gathered(x.reshape({-1}), indices);
}

}  // namespace

ACLNN_CHECKED(aclnnMoeTokenPermuteWithRoutingMap, Tensor tokens, Tensor routingMap,
              Optional<Tensor> probs, Int numOutTokens, bool dropAndPad, Out permuteTokensOut,
              Optional<Out> permuteProbsOut, Out sortedIndicesOut) {
    const Int count = routingMap.numel();
    require(numOutTokens >= 0 && numOutTokens <= count, "numOutTokens must be 0 to " +
                                                            std::to_string(count) + ", got " +
                                                            std::to_string(numOutTokens));
    const RoutingMap map(routingMap);
    const IntList pairs =
        dropAndPad ? map.by_capacity(numOutTokens / map.experts) : map.by_expert();
    const IntList token_of = map.tokens_of(pairs);
    sortedIndicesOut =
        integer_tensor(dropAndPad ? token_of : map.places(numOutTokens / map.tokens));
    assign_first_rows(permuteTokensOut, gathered(tokens, token_of));
    if (probs.defined()) {
        assign_first_rows(permuteProbsOut, elements(probs, pairs));
    }
}
ACLNN(aclnnMoeTokenPermuteWithRoutingMapGrad, Tensor permutedTokensGrad,
      Optional<Tensor> permutedProbsGrad, Tensor sortedIndices, Optional<Tensor> routingMap,
      Int expertsNum, Int tokensNum, bool dropAndPad, Out tokenGrad, Optional<Out> probsGrad) {
    const IntList indices = integers_of(sortedIndices);
    const Tensor grads = permutedTokensGrad.to_float();
    const auto count = static_cast<Int>(indices.size());
    if (dropAndPad) {
        tokenGrad = scattered(grads, indices, tokensNum);
    } else {
        const Tensor rows = gathered(grads, indices);
        tokenGrad = rows.reshape({tokensNum, count / tokensNum, grads.size(1)}).sum({1});
    }
    if (!permutedProbsGrad.defined()) {
        return;
    }
    IntList pairs;
    if (dropAndPad) {
        for (Int i = 0; i < count; ++i) {
            pairs.push_back(indices[as_index(i)] * expertsNum + i / (count / expertsNum));
        }
    } else {
        require(routingMap.defined(), "routingMap is required with permutedProbsOutputGrad");
        pairs = RoutingMap(routingMap).by_expert();
    }
    const Tensor chosen = permutedProbsGrad.narrow(0, static_cast<Int>(pairs.size()));
    probsGrad = scattered(chosen, pairs, tokensNum * expertsNum).reshape({tokensNum, expertsNum});
}

namespace {

/// With padding: the pair in `probs` of each row, given the token of each row.
IntList padded_pairs(const IntList& token_of, Int experts) {
    const Int capacity = static_cast<Int>(token_of.size()) / experts;
    IntList pairs;
    for (std::size_t i = 0; i < token_of.size(); ++i) {
        pairs.push_back(token_of[i] * experts + static_cast<Int>(i) / capacity);
    }
    return pairs;
}

Tensor times_rows(const Tensor& x, const Tensor& factors) {
    return factors.defined() ? x * factors.to_float().reshape({-1, 1}) : x;
}

}  // namespace

// Without padding outIndex and permuteTokenId are not written, as on a device: the gradient takes
// sortedIndices instead.
ACLNN(aclnnMoeTokenUnpermuteWithRoutingMap, Tensor permutedTokens, Tensor sortedIndices,
      Optional<Tensor> routingMap, Optional<Tensor> probs, bool paddedMode, Ints restoreShape,
      Out unpermutedTokens, Optional<Out> outIndex, Optional<Out> permuteTokenId,
      Optional<Out> permuteProbs) {
    const IntList indices = integers_of(sortedIndices);
    const Int tokens = restoreShape[0];
    const Int top_k = static_cast<Int>(indices.size()) / tokens;
    Tensor weights;
    if (probs.defined()) {
        require(paddedMode || routingMap.defined(), "routingMap is required with probs");
        weights = elements(probs, paddedMode ? padded_pairs(indices, probs.size(1))
                                             : RoutingMap(routingMap).by_token(top_k));
        assign_first_rows(permuteProbs, weights);
    }
    if (paddedMode) {
        const IntList order = argsort(indices);
        unpermutedTokens =
            scattered(times_rows(permutedTokens.to_float(), weights), indices, tokens);
        outIndex = integer_tensor(order);
        permuteTokenId = aten("sort", sortedIndices);
        return;
    }
    const Tensor rows = gathered(permutedTokens.to_float(), indices);
    unpermutedTokens =
        times_rows(rows, weights).reshape({tokens, top_k, permutedTokens.size(1)}).sum({1});
}
ACLNN(aclnnMoeTokenUnpermuteWithRoutingMapGrad, Tensor unpermutedTokensGrad, Tensor outIndex,
      Tensor permuteTokenId, Optional<Tensor> routingMap, Optional<Tensor> permutedTokens,
      Optional<Tensor> probs, bool dropAndPad, Unused<Ints> restore_shape, Out permutedTokensGrad,
      Optional<Out> probsGrad) {
    (void)restore_shape;  // the gradient has that shape
    const IntList places = integers_of(outIndex);
    const auto count = static_cast<Int>(places.size());
    const Int tokens = unpermutedTokensGrad.size(0);
    const IntList token_of =
        dropAndPad ? integers_of(permuteTokenId) : quotients(count, count / tokens);
    const Tensor grads =
        scattered(gathered(unpermutedTokensGrad.to_float(), token_of), places, count);
    if (!probs.defined()) {
        permutedTokensGrad = grads;
        return;
    }
    const Int experts = probs.size(1);
    IntList pairs;
    if (dropAndPad) {
        IntList token_of_row(places.size());
        for (std::size_t i = 0; i < places.size(); ++i) {
            token_of_row[as_index(places[i])] = token_of[i];
        }
        pairs = padded_pairs(token_of_row, experts);
    } else {
        pairs = RoutingMap(routingMap).by_expert();
    }
    permutedTokensGrad = times_rows(grads, elements(probs, pairs));
    const Tensor products = (grads * permutedTokens.to_float()).sum({1});
    probsGrad = scattered(products, pairs, tokens * experts).reshape({tokens, experts});
}
