// Normalisations with an addition before or an activation after, and their gradients. All compute
// in fp32.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace {

/// The shape that a layer norm with these weights normalises over.
IntList normalized_shape(const Tensor& gamma) { return gamma.sizes(); }

Tensor wide(const Tensor& x) { return x.defined() ? x.to_float() : x; }

struct Normed {
    Tensor y;
    Tensor mean;
    Tensor rstd;
};

Normed layer_norm(const Tensor& x, const IntList& shape, const Tensor& gamma, const Tensor& beta,
                  double eps) {
    const TensorList found =
        aten_all("native_layer_norm", wide(x), shape, wide(gamma), wide(beta), eps);
    return {found[0], found[1], found[2]};
}

TensorList layer_norm_gradients(const Tensor& dy, const Tensor& x, const Tensor& mean,
                                const Tensor& rstd, const Tensor& gamma) {
    return aten_all("native_layer_norm_backward", wide(dy), x, normalized_shape(gamma), wide(mean),
                    wide(rstd), wide(gamma), wide(gamma), BoolList{true, true, true});
}

struct GroupNorm {
    Tensor x;
    Tensor gamma;
    Tensor beta;
    Int groups;

    Int batch() const { return x.size(0); }
    Int channels() const { return x.size(1); }
    Int inner() const { return x.numel() / (batch() * channels()); }

    Normed run(double eps) const {
        const TensorList found = aten_all("native_group_norm", wide(x).contiguous(), wide(gamma),
                                          wide(beta), batch(), channels(), inner(), groups, eps);
        return {found[0], found[1], found[2]};
    }
    TensorList gradients(const Tensor& dy, const Tensor& mean, const Tensor& rstd) const {
        return aten_all("native_group_norm_backward", wide(dy).contiguous(), wide(x).contiguous(),
                        wide(mean), wide(rstd), wide(gamma), batch(), channels(), inner(), groups,
                        BoolList{true, true, true});
    }
    /// The result of the norm, from its statistics.
    Tensor again(const Tensor& mean, const Tensor& rstd) const {
        const IntList grouped{batch(), groups, -1};
        const auto spread = [&](const Tensor& x) { return wide(x).reshape({batch(), groups, 1}); };
        const Tensor normed =
            ((wide(x).reshape(grouped) - spread(mean)) * spread(rstd)).reshape(x.sizes());
        IntList per_channel(static_cast<std::size_t>(x.dim()), 1);
        per_channel[1] = channels();
        return normed * wide(gamma).reshape(per_channel) + wide(beta).reshape(per_channel);
    }
};

Tensor swish(const Tensor& x, double scale) { return x * aten("sigmoid", x * scale); }

void check_norm_layout(const String& layout) {
    require(layout.empty() || layout == "NCHW", "dataFormat must be NCHW, got " + layout);
}

}  // namespace

ACLNN(aclnnFastLayerNorm, Tensor x, Ints shape, Optional<Tensor> gamma, Optional<Tensor> beta,
      double eps, Out y, Optional<Out> mean, Optional<Out> rstd) {
    const Normed found = layer_norm(x, shape, gamma, beta, eps);
    y = found.y;
    mean = found.mean;
    rstd = found.rstd;
}
ACLNN(aclnnAddLayerNorm, Tensor x1, Tensor x2, Tensor gamma, Tensor beta, Optional<Tensor> bias,
      double eps, bool additional_output, Out y, Optional<Out> mean, Optional<Out> rstd,
      Optional<Out> sum) {
    Tensor added = x1.to_float() + x2.to_float();
    added = bias.defined() ? added + bias.to_float() : added;
    const Normed found = layer_norm(added, normalized_shape(gamma), gamma, beta, eps);
    y = found.y;
    mean = found.mean;
    rstd = found.rstd;
    if (additional_output) {
        sum = added;
    }
}
ACLNN(aclnnAddLayerNormGrad, Tensor dy, Tensor x1, Tensor x2, Tensor rstd, Tensor mean,
      Tensor gamma, Optional<Tensor> dsum, Out dx, Out dgamma, Out dbeta) {
    const TensorList found =
        layer_norm_gradients(dy, x1.to_float() + x2.to_float(), mean, rstd, gamma);
    dx = dsum.defined() ? found[0] + dsum.to_float() : found[0];
    dgamma = found[1];
    dbeta = found[2];
}

ACLNN(aclnnDeepNorm, Tensor x, Tensor gx, Tensor beta, Tensor gamma, double alpha, double eps,
      Out mean, Out rstd, Out y) {
    const Normed found =
        layer_norm(x.to_float() * alpha + gx.to_float(), normalized_shape(gamma), gamma, beta, eps);
    y = found.y;
    mean = found.mean;
    rstd = found.rstd;
}
ACLNN(aclnnDeepNormGrad, Tensor dy, Tensor x, Tensor gx, Tensor gamma, Tensor mean, Tensor rstd,
      double alpha, Out dx, Out dgx, Out dbeta, Out dgamma) {
    const TensorList found =
        layer_norm_gradients(dy, x.to_float() * alpha + gx.to_float(), mean, rstd, gamma);
    dgx = found[0];
    dx = found[0] * alpha;
    dgamma = found[1];
    dbeta = found[2];
}

ACLNN(aclnnGroupNormSilu, Tensor x, Optional<Tensor> gamma, Optional<Tensor> beta, Int groups,
      double eps, Out y, Out mean, Out rstd) {
    const Normed found = GroupNorm{x, gamma, beta, groups}.run(eps);
    y = swish(found.y, 1.0);
    mean = found.mean;
    rstd = found.rstd;
}
ACLNN_CHECKED(aclnnGroupNormSwish, Tensor x, Tensor gamma, Tensor beta, Int groups, String layout,
              double eps, bool activates, double scale, Out y, Out mean, Out rstd) {
    check_norm_layout(layout);
    const Normed found = GroupNorm{x, gamma, beta, groups}.run(eps);
    y = activates ? swish(found.y, scale) : found.y;
    mean = found.mean;
    rstd = found.rstd;
}
// Without the flags, dgamma and dbeta are not written.
ACLNN_CHECKED(aclnnGroupNormSwishGrad, Tensor dy, Tensor mean, Tensor rstd, Tensor x, Tensor gamma,
              Tensor beta, Int groups, String layout, double scale, bool wants_gamma,
              bool wants_beta, Out dx, Optional<Out> dgamma, Optional<Out> dbeta) {
    check_norm_layout(layout);
    const GroupNorm norm{x, gamma, beta, groups};
    const Tensor normed = norm.again(mean, rstd);
    const Tensor gate = aten("sigmoid", normed * scale);
    const Tensor slope = gate * (normed * scale * (-gate + 1.0) + 1.0);
    const TensorList found = norm.gradients(dy.to_float() * slope, mean, rstd);
    dx = found[0];
    if (wants_gamma) {
        dgamma = found[1];
    }
    if (wants_beta) {
        dbeta = found[2];
    }
}
