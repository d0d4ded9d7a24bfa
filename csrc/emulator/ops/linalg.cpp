// Matrix products, factorisations and distances.
#include "emulator/aclnn/operation.h"

using namespace ascend_emulator;

// clang-format off
ATEN(aclnnAddmm,          "addmm",    Tensor, Tensor, Tensor, Scalar, Scalar, Out, CubeMathType)
ATEN(aclnnAddr,            "addr",             Tensor, Tensor, Tensor, Scalar, Scalar, Out)
ATEN(aclnnBaddbmm,        "baddbmm",  Tensor, Tensor, Tensor, Scalar, Scalar, Out, CubeMathType)
ATEN(aclnnBatchMatMul,     "bmm",              Tensor, Tensor, Out, CubeMathType)
ATEN(aclnnCdist,           "cdist",            Tensor, Tensor, float, Int, Out)
ATEN(aclnnDot,             "dot",              Tensor, Tensor, Out)
ATEN(aclnnInplaceAddmm,   "addmm_",   InOut, Tensor, Tensor, Scalar, Scalar, CubeMathType)
ATEN(aclnnInplaceAddr,     "addr_",            InOut, Tensor, Tensor, Scalar, Scalar)
ATEN(aclnnInplaceRenorm,   "renorm_",          InOut, Scalar, Int, Scalar)
ATEN(aclnnInverse,         "inverse",          Tensor, Out)
ATEN(aclnnLinalgCholesky,  "linalg_cholesky",  Tensor, bool, Out)
ATEN(aclnnLinalgCross,     "linalg_cross",     Tensor, Tensor, Int, Out)
ATEN(aclnnMatmul,          "matmul",           Tensor, Tensor, Out, CubeMathType)
ATEN(aclnnMm,              "mm",               Tensor, Tensor, Out, CubeMathType)
ATEN(aclnnMv,             "mv",       Tensor, Tensor, Out, CubeMathType)
ATEN(aclnnPdist,           "pdist",            Tensor, float, Out)
ATEN(aclnnRenorm,          "renorm",           Tensor, Scalar, Int, Scalar, Out)
ATEN(aclnnSlogdet,         "slogdet",          Tensor, Out, Out)
ATEN(aclnnTrace,           "trace",            Tensor, Out)
ATEN(aclnnTriangularSolve, "triangular_solve", Tensor, Tensor, bool, bool, bool, Out, Out)
ATEN(aclnnAddbmm,          "addbmm",   Tensor, Tensor, Tensor, Scalar, Scalar, Out, CubeMathType)
// clang-format on

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
