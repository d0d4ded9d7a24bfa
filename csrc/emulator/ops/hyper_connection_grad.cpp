// The gradient of what hyper-connections compute before a layer: x is [.., n, D], with n streams of
// a token.
#include "emulator/ops/checks.h"
#include "emulator/ops/slices.h"

using namespace ascend_emulator;

namespace {

struct MhcPreGradients {
    const Out& x;
    const Out& phi;
    const Out& alpha;
    const Out& bias;
    const Out& gamma;
};

/// The inputs and results of the forward pass, and the gradients of its results.
struct MhcPreBackward {
    Tensor x;
    Tensor phi;    // [2 n + residual, n D]
    Tensor alpha;  // [3]
    Tensor grad_in;
    Tensor grad_post;
    Tensor grad_res;
    Tensor inverse_rms;
    Tensor mix;
    Tensor pre;
    Tensor post;
    Tensor gamma;        // [n, D], or undefined
    Tensor grad_x_post;  // added to the gradient of x
    double eps;

    Int n() const { return x.size(-2); }
    Int width() const { return n() * x.size(-1); }
    Int tokens() const { return x.numel() / width(); }
    Int mixed() const { return phi.size(0); }

    void check() const {
        require_ascend910b_910_93_or_950();
        require(x.dim() == 3 || x.dim() == 4,
                "x must have 3 or 4 dimensions, got " + std::to_string(x.dim()));
        require(x.dtype() == DType::float16 || x.dtype() == DType::bfloat16,
                std::string("x must be float16 or bfloat16, got ") + name_of(x.dtype()));
        const Int residual = mixed() - 2 * n();
        require(phi.dim() == 2 && phi.size(1) == width() && is_residual(residual),
                "phi must be [2 n + n * n, n * D]" +
                    std::string(is_ascend950() ? "" : ", or [2 n + n!, n * D]"));
        check_size("alpha", alpha, 3);
        check_size("gradHIn", grad_in, tokens() * x.size(-1));
        check_size("gradHPost", grad_post, tokens() * n());
        check_size("gradHRes", grad_res, tokens() * residual);
        check_size("invRms", inverse_rms, tokens());
        check_size("hMix", mix, tokens() * mixed());
        check_size("hPre", pre, tokens() * n());
        check_size("hPost", post, tokens() * n());
        check_size("gamma", gamma, width());
        check_size("gradXPost", grad_x_post, x.numel());
    }

    void run(const MhcPreGradients& out) const {
        const Tensor flat = x.to_float().reshape({tokens(), width()});
        const Tensor factors = gamma.defined() ? gamma.to_float().reshape({1, width()}) : gamma;
        const Tensor scale = inverse_rms.reshape({tokens(), 1});
        const Tensor raw = mix.to_float().reshape({tokens(), mixed()});
        const Tensor mapped = mapped_gradients(flat);  // of sigmoid's arguments and the residual
        const Tensor scaled = mapped * factor_per_column();
        const Tensor grad_mix = scaled * scale;
        const Tensor grad_weighted = aten("matmul", grad_mix, phi.to_float());
        const Tensor weighted = factors.defined() ? flat * factors : flat;
        out.phi = aten("matmul", grad_mix.transpose(0, 1), weighted);
        out.bias = mapped.sum({0});
        out.alpha = alpha_gradients((mapped * raw * scale).sum({0}));
        if (factors.defined()) {
            out.gamma = (flat * grad_weighted).sum({0}).reshape(gamma.sizes());
        }
        const Tensor grad_scale = (scaled * raw).sum({-1}, true);
        const Tensor of_norm =
            flat * (grad_scale * scale * scale * scale) / -static_cast<double>(width());
        const Tensor of_in =
            streams(pre).to_float() * grad_in.to_float().reshape({tokens(), 1, x.size(-1)});
        Tensor sum = (factors.defined() ? grad_weighted * factors : grad_weighted) + of_norm +
                     of_in.reshape({tokens(), width()});
        sum = grad_x_post.defined() ? sum + grad_x_post.to_float().reshape(sum.sizes()) : sum;
        out.x = sum.reshape(x.sizes());
    }

  private:
    bool is_residual(Int size) const {
        Int factorial = 1;
        for (Int i = 2; i <= n(); ++i) {
            factorial *= i;
        }
        return size == n() * n() || (!is_ascend950() && size == factorial);
    }
    static void check_size(const char* name, const Tensor& tensor, Int size) {
        require(!tensor.defined() || tensor.numel() == size,
                std::string(name) + " must have " + std::to_string(size) + " elements, got " +
                    std::to_string(tensor.numel()));
    }
    Tensor streams(const Tensor& y) const { return y.reshape({tokens(), n(), 1}); }
    Tensor per_stream(const Tensor& y) const { return y.to_float().reshape({tokens(), n()}); }

    Tensor mapped_gradients(const Tensor& flat) const {
        const Tensor grad_h = grad_in.to_float().reshape({tokens(), 1, x.size(-1)});
        const Tensor grad_pre = (flat.reshape({tokens(), n(), x.size(-1)}) * grad_h).sum({-1});
        const Tensor gate = per_stream(pre) - eps;
        const Tensor of_pre = grad_pre * gate * (-gate + 1.0);
        const Tensor h = per_stream(post);
        const Tensor of_post = per_stream(grad_post) * h * (h * -0.5 + 1.0);
        const Tensor of_res = grad_res.to_float().reshape({tokens(), mixed() - 2 * n()});
        return aten("cat", TensorList{of_pre, of_post, of_res}, -1);
    }
    /// The element of alpha that belongs to each column of the mix.
    Tensor factor_per_column() const {
        TensorList parts;
        const Int sizes[] = {n(), n(), mixed() - 2 * n()};
        for (Int i = 0; i < 3; ++i) {
            parts.push_back(
                rows(alpha.to_float().reshape({3}), i, i + 1).expand({sizes[as_index(i)]}));
        }
        return aten("cat", parts, 0);
    }
    Tensor alpha_gradients(const Tensor& per_column) const {
        const Int ends[] = {0, n(), 2 * n(), mixed()};
        TensorList sums;
        for (std::size_t i = 0; i < 3; ++i) {
            sums.push_back(rows(per_column, ends[i], ends[i + 1]).sum({0}));
        }
        return aten("stack", sums, 0);
    }
};

}  // namespace

#define MHC_BACKWARD_INPUTS                                                                \
    Tensor x, Tensor phi, Tensor alpha, Tensor gradHIn, Tensor gradHPost, Tensor gradHRes, \
        Tensor invRms, Tensor hMix, Tensor hPre, Tensor hPost, Optional<Tensor> gamma,     \
        Optional<Tensor> gradXPost, float hcEps
#define MHC_BACKWARD_OUTPUTS \
    Out gradX, Out gradPhi, Out gradAlpha, Out gradBias, Optional<Out> gradGamma
#define MHC_BACKWARD_BODY                                                                         \
    {                                                                                             \
        const MhcPreBackward backward = {x,    phi,  alpha, gradHIn, gradHPost, gradHRes, invRms, \
                                         hMix, hPre, hPost, gamma,   gradXPost, hcEps};           \
        backward.check();                                                                         \
        backward.run({gradX, gradPhi, gradAlpha, gradBias, gradGamma});                           \
    }

// Without gamma, gradGamma is not written.
ACLNN_CHECKED(aclnnMhcPreBackward, MHC_BACKWARD_INPUTS, MHC_BACKWARD_OUTPUTS)
MHC_BACKWARD_BODY
// opImplMode lets the matrix units round to 19 bits; ATen's products are exact in fp32.
ACLNN_CHECKED(aclnnMhcPreBackwardV2, MHC_BACKWARD_INPUTS, Unused<Int>, MHC_BACKWARD_OUTPUTS)
MHC_BACKWARD_BODY
