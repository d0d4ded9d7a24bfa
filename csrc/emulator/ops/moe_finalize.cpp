// Mixture of experts: the outputs of a token's experts are weighted and added.
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

/// Pair i is token i / k with its expert of number i % k. Its row is -1 if it was dropped.
struct Pairs {
    Pairs(const Tensor& row_idx, Int its_k, bool by_column)
        : rows(integers_of(row_idx)), k(its_k), tokens(static_cast<Int>(rows.size()) / its_k) {
        require(static_cast<Int>(rows.size()) == tokens * k,
                "expandedRowIdx must have " + std::to_string(k) + " elements per token, got " +
                    std::to_string(rows.size()));
        if (!by_column) {
            return;
        }
        const IntList given = rows;
        for (Int token = 0; token < tokens; ++token) {
            for (Int i = 0; i < k; ++i) {
                rows[as_index(token * k + i)] = given[as_index(token + i * tokens)];
            }
        }
    }
    IntList token_of() const { return quotients(tokens * k, k); }

    IntList rows;
    Int k;
    Int tokens;
};

/// Experts that need no computation: those of `zero` give 0, those of `copy` give x, and those of
/// `constant` give alpha1 * x + alpha2 * v.
struct SpecialExperts {
    static bool contains(const OptionalInts& range, Int expert) {
        return range.values && expert >= (*range.values)[0] && expert < (*range.values)[1];
    }
    void check() const {
        for (const OptionalInts* range : {&zero, &copy, &constant}) {
            require(
                !range->values || range->values->size() == 2,
                "zeroExpertRange, copyExpertRange and constantExpertRange must be [begin, end]");
        }
        require((!copy.values && !constant.values) || x.defined(),
                "x is required with copyExpertRange or constantExpertRange");
        require(!constant.values || (alpha1.defined() && alpha2.defined() && v.defined()),
                "alpha1, alpha2 and v are required with constantExpertRange");
    }
    /// Replace the outputs of these experts.
    void apply(const Tensor& outputs, const IntList& experts, Int k) const {
        for (std::size_t pair = 0; pair < experts.size(); ++pair) {
            const Tensor row = aten("select.int", outputs, 0, static_cast<Int>(pair));
            const auto own = [&] {
                return aten("select.int", x, 0, static_cast<Int>(pair) / k).to_float();
            };
            if (contains(copy, experts[pair])) {
                assign(row, own());
            } else if (constant.values && contains(constant, experts[pair])) {
                const Int index = experts[pair] - (*constant.values)[0];
                const auto of = [&](const Tensor& each) {
                    return aten("select.int", each, 0, index).to_float();
                };
                assign(row, of(alpha1) * own() + of(alpha2) * of(v));
            }
        }
    }

    Tensor x;
    Tensor alpha1;
    Tensor alpha2;
    Tensor v;
    OptionalInts zero;
    OptionalInts copy;
    OptionalInts constant;
};

struct Finalize {
    Tensor expanded_x;
    Tensor x1;
    Tensor x2;
    Tensor bias;
    Tensor scales;
    Tensor experts;

    void check() const {
        require(!x2.defined() || x1.defined(), "x1 is required with x2");
        require(!bias.defined() || experts.defined(), "expertIdx is required with bias");
    }
    Tensor run(const Pairs& pairs, const SpecialExperts& special) const {
        const Int hidden = expanded_x.size(-1);
        Tensor outputs = gathered(expanded_x.reshape({-1, hidden}).to_float(), pairs.rows);
        const IntList chosen = experts.defined() ? integers_of(experts) : IntList();
        special.apply(outputs, chosen, pairs.k);
        if (bias.defined()) {
            outputs = outputs + gathered(bias.to_float(), chosen);
        }
        if (scales.defined()) {
            outputs = outputs * scales.to_float().reshape({-1, 1});
        }
        for (std::size_t pair = 0; pair < chosen.size(); ++pair) {
            if (SpecialExperts::contains(special.zero, chosen[pair])) {
                aten("zero_", aten("select.int", outputs, 0, static_cast<Int>(pair)));
            }
        }
        Tensor sum = outputs.reshape({pairs.tokens, pairs.k, hidden}).sum({1});
        for (const Tensor* shared : {&x1, &x2}) {
            sum = shared->defined() ? sum + shared->to_float() : sum;
        }
        return sum;
    }
};

void check_mode(Int mode) {
    require(mode >= 0 && mode <= 3, "dropPadMode must be 0 to 3, got " + std::to_string(mode));
}

Int width(const Tensor& scales, Int otherwise) {
    return scales.defined() ? scales.size(1) : otherwise;
}

}  // namespace

ACLNN(aclnnMoeFinalizeRouting, Tensor expandedX, Tensor x1, Optional<Tensor> x2, Tensor bias,
      Tensor scales, Tensor expandedRowIdx, Tensor expandedExpertIdx, Out out) {
    const Pairs pairs(expandedRowIdx, scales.size(1), true);
    out = Finalize{expandedX, x1, x2, bias, scales, expandedExpertIdx}.run(pairs, {});
}
ACLNN_CHECKED(aclnnMoeFinalizeRoutingV2, Tensor expandedX, Tensor expandedRowIdx,
              Optional<Tensor> x1, Optional<Tensor> x2, Optional<Tensor> bias,
              Optional<Tensor> scales, Optional<Tensor> expertIdx, Int dropPadMode, Out out) {
    const Finalize finalize = {expandedX, x1, x2, bias, scales, expertIdx};
    check_mode(dropPadMode);
    finalize.check();
    const Pairs pairs(expandedRowIdx, width(scales, 1), dropPadMode < 2);
    out = finalize.run(pairs, {});
}
ACLNN_CHECKED(aclnnMoeFinalizeRoutingV4, Tensor expandedX, Tensor expandedRowIdx,
              Optional<Tensor> x1, Optional<Tensor> x2, Optional<Tensor> bias,
              Optional<Tensor> scales, Optional<Tensor> expertIdx, Optional<Tensor> x,
              Optional<Tensor> alpha1, Optional<Tensor> alpha2, Optional<Tensor> v, Int dropPadMode,
              OptionalInts zeroExpertRange, OptionalInts copyExpertRange,
              OptionalInts constantExpertRange, Int k, Out out) {
    const Finalize finalize = {expandedX, x1, x2, bias, scales, expertIdx};
    const SpecialExperts special = {
        x, alpha1, alpha2, v, zeroExpertRange, copyExpertRange, constantExpertRange};
    check_mode(dropPadMode);
    finalize.check();
    special.check();
    require(k <= 1 || k == width(scales, k), "k must be the second dimension of scales");
    const Pairs pairs(expandedRowIdx, width(scales, std::max(k, Int{1})), dropPadMode < 2);
    out = finalize.run(pairs, special);
}

namespace {

/// The gradients of the weighted sum of each token's rows.
void finalize_gradients(const Tensor& grad, const Pairs& pairs, const Tensor& expanded_x,
                        const Tensor& scales, const Tensor& bias_rows, const Out& grad_x,
                        const Out& grad_scales) {
    const Int hidden = grad.size(-1);
    const Tensor grads = gathered(grad.to_float(), pairs.token_of());
    const Tensor weighted = scales.defined() ? grads * scales.to_float().reshape({-1, 1}) : grads;
    const IntList sizes = grad_x.tensor.sizes();
    const Int rows = grad_x.tensor.numel() / hidden;
    grad_x = scattered(weighted, pairs.rows, rows).reshape(sizes);
    if (scales.defined()) {
        Tensor outputs = gathered(expanded_x.reshape({-1, hidden}).to_float(), pairs.rows);
        outputs = bias_rows.defined() ? outputs + bias_rows : outputs;
        grad_scales = (outputs * grads).sum({1}).reshape({pairs.tokens, pairs.k});
    }
}

}  // namespace

// The shape of the gradient tells what the numbers after dropPadMode do.
ACLNN(aclnnMoeFinalizeRoutingV2Grad, Tensor gradY, Tensor expandedRowIdx,
      Optional<Tensor> expandedX, Optional<Tensor> scales, Optional<Tensor> expertIdx,
      Optional<Tensor> bias, Unused<Int>, Unused<Int>, Unused<Int>, Unused<Int>, Out gradExpandedX,
      Optional<Out> gradScales) {
    const Pairs pairs(expandedRowIdx, width(scales, 1), false);
    const Tensor bias_rows =
        bias.defined() ? gathered(bias.to_float(), integers_of(expertIdx)) : Tensor();
    finalize_gradients(gradY, pairs, expandedX, scales, bias_rows, gradExpandedX, gradScales);
}

ACLNN_CHECKED(aclnnMoeTokenUnpermute, Tensor permutedTokens, Tensor sortedIndices,
              Optional<Tensor> probs, REFUSED(bool, paddedMode), REFUSED(Ints, restoreShape),
              Out out) {
    const Pairs pairs(sortedIndices, width(probs, 1), false);
    out = Finalize{permutedTokens, {}, {}, {}, probs, {}}.run(pairs, {});
}
ACLNN_CHECKED(aclnnMoeTokenUnpermuteGrad, Optional<Tensor> permutedTokens,
              Tensor unpermutedTokensGrad, Tensor sortedIndices, Optional<Tensor> probs,
              REFUSED(bool, paddedMode), REFUSED(Ints, restoreShape), Out permutedTokensGrad,
              Optional<Out> probsGrad) {
    require(!probs.defined() || permutedTokens.defined(), "permutedTokens is required with probs");
    const Pairs pairs(sortedIndices, width(probs, 1), false);
    finalize_gradients(unpermutedTokensGrad, pairs, permutedTokens, probs, {}, permutedTokensGrad,
                       probsGrad);
}
