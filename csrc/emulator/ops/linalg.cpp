// Matrix products, factorisations and distances.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/distance.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnAddmm,          "addmm",    Tensor, Tensor, Tensor, Scalar, Scalar, Out, CubeMathType)
ATEN(aclnnAddr,            "addr",             Tensor, Tensor, Tensor, Scalar, Scalar, Out)
ATEN(aclnnBaddbmm,        "baddbmm",  Tensor, Tensor, Tensor, Scalar, Scalar, Out, CubeMathType)
ATEN(aclnnBatchMatMul,     "matmul",           Tensor, Tensor, Out, CubeMathType)
ATEN(aclnnCdist,           "cdist",            Tensor, Tensor, float, Int, Out)
ATEN(aclnnDot,             "dot",              Tensor, Tensor, Out)
ATEN(aclnnInplaceAddmm,   "addmm_",   InOut, Tensor, Tensor, Scalar, Scalar, CubeMathType)
ATEN(aclnnInplaceAddr,     "addr_",            InOut, Tensor, Tensor, Scalar, Scalar)
ATEN(aclnnInverse,         "inverse",          Tensor, Out)
ATEN(aclnnLinalgCholesky,  "linalg_cholesky",  Tensor, bool, Out)
ATEN(aclnnLinalgCross,     "linalg_cross",     Tensor, Tensor, Int, Out)
ATEN(aclnnMatmul,          "matmul",           Tensor, Tensor, Out, CubeMathType)
ATEN(aclnnMatmulWeightNz,  "matmul",           Tensor, Tensor, Out, CubeMathType)
ATEN(aclnnMm,              "mm",               Tensor, Tensor, Out, CubeMathType)
ATEN(aclnnMv,             "mv",       Tensor, Tensor, Out, CubeMathType)
ATEN(aclnnPdist,           "pdist",            Tensor, float, Out)
ATEN(aclnnSlogdet,         "slogdet",          Tensor, Out, Out)
ATEN(aclnnTrace,           "trace",            Tensor, Out)
ATEN(aclnnTriangularSolve, "triangular_solve", Tensor, Tensor, bool, bool, bool, Out, Out)
ATEN(aclnnAddbmm,          "addbmm",   Tensor, Tensor, Tensor, Scalar, Scalar, Out, CubeMathType)
// clang-format on

namespace {

/// Each part along `dim` with a norm of at most max_norm. ATen has it for a positive p; if p is 0,
/// the norm is the number of elements that are not zero.
Tensor renormed(const Tensor& x, const Scalar& p, Int dim, const Scalar& max_norm) {
    if (p.to_double() != 0) {
        return aten("renorm", x, p, dim, max_norm);
    }
    IntList others;
    for (Int i = 0; i < x.dim(); ++i) {
        if (i != (dim < 0 ? dim + x.dim() : dim)) {
            others.push_back(i);
        }
    }
    const Tensor norm = aten("ne.Scalar", x, 0).to_float().sum(others, true);
    const Tensor factor = aten("div.Tensor", full({}, max_norm, DType::float32), norm + 1e-7);
    return x.to_float() * aten("clamp_max", factor, 1.0);
}

}  // namespace

ACLNN_LIKE(aclnnRenorm, "renorm", Tensor self, Scalar p, Int dim, Scalar maxNorm, Out out) {
    out = renormed(self, p, dim, maxNorm);
}
ACLNN_LIKE(aclnnInplaceRenorm, "renorm_", InOut self, Scalar p, Int dim, Scalar maxNorm) {
    self = renormed(self.tensor, p, dim, maxNorm);
}

// Here alpha comes before beta.
ACLNN(aclnnAddmv, Tensor self, Tensor matrix, Tensor vector, Scalar alpha, Scalar beta, Out out,
      CubeMathType) {
    out = aten("addmv", self, matrix, vector, beta, alpha);
}

ACLNN(aclnnSvd, Tensor self, bool full_matrices, bool compute_uv, Out sigma, Optional<Out> u,
      Optional<Out> v) {
    if (!compute_uv) {
        sigma = aten("linalg_svdvals", self);
        return;
    }
    const TensorList found = aten_all("linalg_svd", self, full_matrices);
    u = found[0];
    sigma = found[1];
    v = aten("mH", found[2]);
}
// mode: 0 reduced, 1 complete, 2 R alone
ACLNN(aclnnLinalgQr, Tensor self, Int mode, Out q, Out r) {
    const char* names[] = {"reduced", "complete", "r"};
    const TensorList found = aten_all("linalg_qr", self, names[mode]);
    q = found[0];
    r = found[1];
}

ACLNN(aclnnCdistBackward, Tensor grad, Tensor x1, Tensor x2, Tensor cdist, float p, Out out) {
    out = aten("_cdist_backward", grad.to_float().contiguous(), x1.to_float().contiguous(),
               x2.to_float().contiguous(), norm_exponent(p), cdist.to_float().contiguous());
}

namespace {

struct BatchPermutations {
    OptionalInts x1;
    OptionalInts x2;
    OptionalInts y;
};

/// x1 and x2 are permuted to [B, M, K] and [B, K, N]; the batch comes after M in the result.
Tensor transposed_product(const Tensor& x1, const Tensor& x2, const BatchPermutations& permutations,
                          Int parts) {
    const Ints kept = {0, 1, 2};
    require(permutations.y.values.value_or(Ints{1, 0, 2}) == Ints({1, 0, 2}),
            "permY must be [1, 0, 2]");
    const Tensor a = x1.permute(permutations.x1.values.value_or(kept));
    const Tensor b = x2.permute(permutations.x2.values.value_or(kept));
    require(parts >= 1 && a.size(0) % parts == 0, "batchSplitFactor must divide " +
                                                      std::to_string(a.size(0)) + ", got " +
                                                      std::to_string(parts));
    const Tensor product = aten("bmm", a.to_float(), b.to_float());
    const Int rows = product.size(1);
    return parts == 1 ? product.permute({1, 0, 2})
                      : product.reshape({parts, -1, rows, product.size(2)})
                            .permute({0, 2, 1, 3})
                            .reshape({parts, rows, -1});
}

}  // namespace

ACLNN_CHECKED(aclnnTransposeBatchMatMul, Tensor x1, Tensor x2, REFUSED(Tensor, bias),
              REFUSED(Tensor, scale), OptionalInts permX1, OptionalInts permX2, OptionalInts permY,
              CubeMathType, Int32 batchSplitFactor, Out out) {
    out = transposed_product(x1, x2, {permX1, permX2, permY}, batchSplitFactor);
}
ACLNN_CHECKED(aclnnTransposeBatchMatMulWeightNz, Tensor x1, Tensor x2, REFUSED(Tensor, bias),
              REFUSED(Tensor, scale), OptionalInts permX1, OptionalInts permX2, OptionalInts permY,
              CubeMathType, Int32 batchSplitFactor, Out out) {
    out = transposed_product(x1, x2, {permX1, permX2, permY}, batchSplitFactor);
}

// The caller has padded the signal.
ACLNN(aclStft, Tensor self, Optional<Tensor> window, Out out, Int nFft, Int hopLength,
      Int winLength, bool normalized, bool onesided, bool returnComplex) {
    out =
        aten("stft", self, nFft, hopLength, winLength, window, normalized, onesided, returnComplex);
}
