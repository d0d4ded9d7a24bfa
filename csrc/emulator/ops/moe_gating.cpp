// Mixture of experts: which experts each token goes to, and with which weights.
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

enum GatingNorm : Int { softmax_norm = 0, sigmoid_norm = 1, sqrt_softplus = 2 };

struct Gating {
    Int k;
    Int k_group;
    Int group_count;
    Int group_select_mode;
    Int renorm;
    Int norm_type;
    double scaling;
    double eps;

    void check(const Tensor& x) const {
        const Int experts = x.size(1);
        require(experts <= 2048,
                "x must have at most 2048 experts, got " + std::to_string(experts));
        require(k >= 1 && k <= experts,
                "k must be 1 to " + std::to_string(experts) + ", got " + std::to_string(k));
        require(group_count >= 1 && experts % group_count == 0,
                "groupCount must divide the " + std::to_string(experts) + " experts, got " +
                    std::to_string(group_count));
        require(norm_type == softmax_norm || norm_type == sigmoid_norm ||
                    (norm_type == sqrt_softplus && is_ascend950()),
                "normType must be 0 or 1, got " + std::to_string(norm_type));
    }
    Tensor norm(const Tensor& x) const {
        const Tensor wide = x.to_float();
        if (norm_type == softmax_norm) {
            return aten("softmax.int", wide, Int{-1});
        }
        return norm_type == sigmoid_norm ? aten("sigmoid", wide)
                                         : aten("sqrt", aten("softplus", wide));
    }
    Tensor chosen(const Tensor& scores) const {
        if (group_count == 1) {
            return aten_all("topk", scores, k)[1];
        }
        const IntList sizes = scores.sizes();
        const Tensor grouped = scores.reshape({sizes[0], group_count, -1});
        const Tensor best = group_select_mode == 0 ? aten("amax", grouped, IntList{-1})
                                                   : aten("topk", grouped, Int{2}).sum({-1});
        const Tensor groups = aten_all("topk", best, k_group)[1];
        const Tensor kept = aten("scatter.value", full(best.sizes(), Scalar{0.0}, DType::float32),
                                 Int{1}, groups, Scalar{1.0});
        const Tensor lost = aten("eq.Scalar", aten("unsqueeze", kept, -1), Scalar{0.0});
        const Tensor masked = aten("masked_fill.Scalar", grouped, lost, -1e30).reshape(sizes);
        return aten_all("topk", masked, k)[1];
    }
    Tensor weights(const Tensor& normed, const Tensor& experts) const {
        const Tensor found = aten("gather", normed, Int{1}, experts);
        const bool divides = norm_type != softmax_norm || renorm == 1;
        return (divides ? found / (found.sum({-1}, true) + eps) : found) * scaling;
    }
};

}  // namespace

ACLNN_CHECKED(aclnnMoeGatingTopK, Tensor x, Optional<Tensor> bias, Int k, Int k_group,
              Int group_count, Int group_select_mode, Int renorm, Int norm_type, bool out_flag,
              double scaling, double eps, Out y, Out indices, Optional<Out> out) {
    const Gating gating = {k,      k_group,   group_count, group_select_mode,
                           renorm, norm_type, scaling,     eps};
    gating.check(x);
    const Tensor normed = gating.norm(x);
    const Tensor experts = gating.chosen(bias.defined() ? normed + bias.to_float() : normed);
    y = gating.weights(normed, experts);
    indices = experts;
    if (out_flag) {
        out = normed;
    }
}
// With inputIds and tid2eid a table gives the experts of each token.
ACLNN_CHECKED(aclnnMoeGatingTopKV2, Tensor x, Optional<Tensor> bias, Optional<Tensor> inputIds,
              Optional<Tensor> tid2eid, Int k, Int k_group, Int group_count, Int group_select_mode,
              Int renorm, Int norm_type, bool out_flag, double scaling, double eps, Out y,
              Out indices, Optional<Out> out) {
    const Gating gating = {k,      k_group,   group_count, group_select_mode,
                           renorm, norm_type, scaling,     eps};
    gating.check(x);
    const bool hashes = inputIds.defined() && tid2eid.defined();
    require(!hashes || tid2eid.size(1) == k, "tid2eid must have k columns");
    const Tensor normed = gating.norm(x);
    const Tensor experts =
        hashes ? aten("index_select", tid2eid.to(DType::int64), 0, inputIds.to(DType::int64))
               : gating.chosen(bias.defined() ? normed + bias.to_float() : normed);
    y = gating.weights(normed, experts);
    indices = experts;
    if (out_flag) {
        out = normed;
    }
}
ACLNN_CHECKED(aclnnMoeGatingTopKBackward, Tensor xNorm, Tensor gradY, Tensor expertIdx,
              Unused<Int> renorm, Int normType, double scaling, double eps, Out out) {
    (void)renorm;  // it concerns softmax
    if (normType != sigmoid_norm) {
        not_emulated("normType " + std::to_string(normType));
    }
    const Tensor experts = expertIdx.to(DType::int64);
    const Tensor chosen = aten("gather", xNorm, Int{1}, experts);
    const Tensor grads = gradY.to_float() * scaling;
    const Tensor sum = chosen.sum({-1}, true) + eps;
    const Tensor mean = (chosen / sum * grads).sum({-1}, true);
    const Tensor zeros = full(xNorm.sizes(), Scalar{0.0}, DType::float32);
    const Tensor grad_norm = aten("scatter_add", zeros, Int{1}, experts, (grads - mean) / sum);
    out = xNorm * (-xNorm + 1.0) * grad_norm;
}

namespace {

struct Top {
    Tensor values;
    Tensor experts;
};

/// The k largest; a row that is finished gets an expert that does not exist.
Top top_of(const Tensor& x, const Tensor& finished, Int k) {
    const TensorList found = aten_all("topk", x, k);
    Tensor experts = found[1];
    if (finished.defined()) {
        experts = aten("masked_fill.Scalar", experts, aten("unsqueeze", finished, -1),
                       Scalar{x.size(-1)});
    }
    return {found[0], experts};
}

void check_k(const Tensor& x, Int k) {
    require(k >= 0 && k <= x.size(-1) && k <= 1024,
            "k must be 0 to " + std::to_string(std::min(x.size(-1), Int{1024})) + ", got " +
                std::to_string(k));
}

}  // namespace

ACLNN_CHECKED(aclnnMoeGatingTopKSoftmax, Tensor x, Optional<Tensor> finished, Int k, Out y,
              Out expertIdx, Out rowIdx) {
    check_k(x, k);
    const Top top = top_of(aten("softmax.int", x.to_float(), Int{-1}), finished, k);
    y = top.values;
    expertIdx = top.experts;
    const Int rows = x.numel() / x.size(-1);
    rowIdx = arange(rows * k).reshape({k, rows}).transpose(0, 1).reshape(top.values.sizes());
}
ACLNN_CHECKED(aclnnMoeGatingTopKSoftmaxV2, Tensor x, Optional<Tensor> finished, Int k, Int renorm,
              bool outputSoftmaxResultFlag, Out y, Out expertIdx, Optional<Out> softmaxResult) {
    check_k(x, k);
    require(renorm == 0 || renorm == 1, "renorm must be 0 or 1, got " + std::to_string(renorm));
    const Tensor wide = x.to_float();
    const Tensor normed = renorm == 0 ? aten("softmax.int", wide, Int{-1}) : wide;
    const Top top = top_of(normed, finished, k);
    y = renorm == 0 ? top.values : aten("softmax.int", top.values, Int{-1});
    expertIdx = top.experts;
    if (renorm == 0 && outputSoftmaxResultFlag) {
        softmaxResult = normed;
    }
}
