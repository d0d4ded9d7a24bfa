// Manifold-constrained hyper-connections between layers: x is [.., n, D], with n streams of a
// token.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/slices.h"

using namespace ascend_emulator;

namespace {

Tensor matmul(const Tensor& a, const Tensor& b) { return aten("matmul", a, b); }

Tensor outer(const Tensor& post, const Tensor& out) {  // [.., N] and [.., D]
    return aten("unsqueeze", post.to_float(), -1) * aten("unsqueeze", out.to_float(), -2);
}

}  // namespace

ACLNN_CHECKED(aclnnMhcPost, Tensor x, Optional<Tensor> hRes, Tensor hOut, Tensor hPost, Out out) {
    require(hRes.defined() || is_ascend950(), "hRes must not be null");
    const Tensor wide = x.to_float();
    out = (hRes.defined() ? matmul(hRes.to_float().transpose(-1, -2), wide) : wide) +
          outer(hPost, hOut);
}
ACLNN(aclnnMhcPostBackward, Tensor gradOutput, Tensor x, Tensor hRes, Tensor hOut, Tensor hPost,
      Out gradX, Out gradHRes, Out gradHOut, Out gradHPost) {
    const Tensor grad = gradOutput.to_float();
    gradX = matmul(hRes.to_float(), grad);
    gradHRes = matmul(x.to_float(), grad.transpose(-1, -2));
    gradHOut = (grad * aten("unsqueeze", hPost.to_float(), -1)).sum({-2});
    gradHPost = (grad * aten("unsqueeze", hOut.to_float(), -2)).sum({-1});
}

namespace {

Tensor element(const Tensor& x, Int index) { return aten("select.int", x, 0, index); }

}  // namespace

namespace {

struct MhcPreOutputs {
    const Out& in;
    const Out& post;
    const Out& res;
    const Out& inverse_rms;
    const Out& mix;
    const Out& pre;
};

struct MhcPre {
    Tensor x;
    Tensor phi;
    Tensor alpha;  // it has a third element if there is an hRes
    Tensor bias;
    Tensor gamma;
    double norm_eps;
    double eps;

    void run(const MhcPreOutputs& out) const {
        const Int n = x.size(-2);
        const Int parts = alpha.numel();
        require(parts == 2 || parts == 3,
                "alpha must have 2 or 3 elements, got " + std::to_string(parts));
        IntList sizes = x.sizes();
        sizes.resize(sizes.size() - 2);
        const auto shaped = [&](const Tensor& rows, const IntList& inner) {
            IntList all = sizes;
            all.insert(all.end(), inner.begin(), inner.end());
            return rows.reshape(all);
        };
        const Tensor flat = x.to_float().reshape({-1, n * x.size(-1)});
        const Tensor scale =
            aten("rsqrt", aten("mean.dim", flat * flat, IntList{-1}, true) + norm_eps);
        const Tensor weighted = gamma.defined() ? flat * gamma.to_float().reshape({1, -1}) : flat;
        const Tensor mix = matmul(weighted, phi.to_float().transpose(0, 1));
        const Tensor w = mix * scale;
        const auto mapped = [&](Int index, Int begin, Int end) {
            return columns(w, begin, end) * element(alpha, index) + columns(bias, begin, end);
        };
        const Tensor pre = aten("sigmoid", mapped(0, 0, n)) + eps;
        out.in = shaped((aten("unsqueeze", pre, -1) * flat.reshape({-1, n, x.size(-1)})).sum({1}),
                        {x.size(-1)});
        const Tensor post = aten("sigmoid", mapped(1, n, 2 * n)) * 2.0;
        out.post = shaped(parts == 3 ? post : post + eps, {n});
        if (parts == 3) {
            out.res = shaped(mapped(2, 2 * n, 2 * n + n * n), {n, n});
        }
        out.inverse_rms = shaped(scale, {});
        out.mix = shaped(mix, {mix.size(-1)});
        out.pre = shaped(pre, {n});
    }
};

}  // namespace

#define MHC_PRE_INPUTS                                                                       \
    Tensor x, Tensor phi, Tensor alpha, Tensor bias, Optional<Tensor> gamma, double normEps, \
        double hcEps
#define MHC_PRE_OUTPUTS                                                               \
    Out hIn, Out hPost, Optional<Out> hRes, Optional<Out> invRms, Optional<Out> hMix, \
        Optional<Out> hPre
#define MHC_PRE_BODY                                            \
    {                                                           \
        MhcPre{x, phi, alpha, bias, gamma, normEps, hcEps}.run( \
            {hIn, hPost, hRes, invRms, hMix, hPre});            \
    }

ACLNN_CHECKED(aclnnMhcPre, MHC_PRE_INPUTS, MHC_PRE_OUTPUTS)
MHC_PRE_BODY
// opImplMode lets the matrix units round to 19 bits; ATen's products are exact in fp32.
ACLNN_CHECKED(aclnnMhcPreV2, MHC_PRE_INPUTS, Unused<Int>, MHC_PRE_OUTPUTS)
MHC_PRE_BODY

namespace {

/// What each half step of an iteration keeps for the gradient, [half steps, matrices, n, ...], with
/// the last dimension filled up to a multiple of 8.
Tensor steps_of(const Tensor& flat, Int half_steps, Int n, bool are_matrices) {
    const Int aligned = (n + 7) / 8 * 8;
    const Tensor all = are_matrices ? flat.reshape({half_steps, -1, n, aligned})
                                    : flat.reshape({half_steps, -1, aligned});
    return all.narrow(all.dim() - 1, n);
}

/// Even half steps divide rows by their sums, and odd ones columns.
Int summed_dim(Int step) { return step % 2 == 0 ? -1 : -2; }

}  // namespace

ACLNN_CHECKED(aclnnMhcSinkhorn, Tensor x, float eps, Int numIters, Out output,
              Optional<Out> normOut, Optional<Out> sumOut) {
    require(numIters > 0, "numIters must be positive, got " + std::to_string(numIters));
    const Int n = x.size(-1);
    Tensor norm;
    for (Int step = 0; step < 2 * numIters; ++step) {
        Tensor sums;
        if (step == 0) {
            norm = aten("softmax.int", x.to_float(), Int{-1}) + eps;
        } else {
            sums = norm.sum({summed_dim(step)}, true) + eps;
            norm = norm / sums;
        }
        if (normOut.defined()) {
            const Tensor kept = steps_of(normOut.tensor, 2 * numIters, n, true);
            assign(element(kept, step), norm.reshape({-1, n, n}));
        }
        if (sumOut.defined() && sums.defined()) {
            assign(element(steps_of(sumOut.tensor, 2 * numIters, n, false), step),
                   sums.reshape({-1, n}));
        }
    }
    output = norm;
}
ACLNN(aclnnMhcSinkhornBackward, Tensor gradOutput, Tensor norm, Tensor sum, Out out) {
    const Int n = gradOutput.size(-1);
    const Int aligned = (n + 7) / 8 * 8;
    const Int matrices = gradOutput.numel() / (n * n);
    const Int half_steps = norm.numel() / (matrices * n * aligned);
    const Tensor norms = steps_of(norm, half_steps, n, true);
    const Tensor sums = steps_of(sum, half_steps, n, false);
    Tensor grad = gradOutput.reshape({matrices, n, n});
    for (Int step = half_steps - 1; step > 0; --step) {
        const Int dim = summed_dim(step);
        const Tensor products = (grad * element(norms, step)).sum({dim}, true);
        grad = (grad - products) / aten("unsqueeze", element(sums, step), dim);
    }
    const Tensor first = element(norms, 0);
    const Tensor products = (grad * first).sum({-1}, true);
    out = ((grad - products) * first).reshape(gradOutput.sizes());
}
