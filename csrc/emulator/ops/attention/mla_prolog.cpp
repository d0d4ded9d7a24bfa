// What multi-head latent attention computes before the attention: queries, and a compressed key
// with its rotated part, which go to two caches.
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"
#include "emulator/ops/slices.h"

using namespace ascend_emulator;

namespace {

Tensor rms_normed(const Tensor& x, const Tensor& gamma, double eps) {
    const Tensor mean = aten("mean.dim", x * x, IntList{-1}, true);
    return x * aten("rsqrt", mean + eps) * gamma.to_float();
}

/// The pairs of neighbours become two halves, and the halves are rotated.
Tensor rotated(const Tensor& x, const Tensor& cos, const Tensor& sin) {
    const Int size = x.size(-1);
    const Tensor first = columns(x, 0, size, 2);
    const Tensor second = columns(x, 1, size, 2);
    return aten("cat", TensorList{first, second}, -1) * cos +
           aten("cat", TensorList{-second, first}, -1) * sin;
}

struct MlaProlog {
    Tensor x;
    Tensor weight_dq;
    Tensor weight_uq_qr;
    Tensor weight_uk;  // [N, D, Hckv]
    Tensor weight_dkv_kr;
    Tensor gamma_cq;
    Tensor gamma_ckv;
    Tensor sin;
    Tensor cos;
    Tensor cache_index;
    double eps_cq;
    double eps_ckv;
    String cache_mode;
    double query_scale = 1;
    double key_scale = 1;

    void check(const Out& kv_cache, const Out& kr_cache) const {
        if (!cache_mode.empty() && cache_mode != "PA_BSND") {
            not_emulated("cacheMode " + cache_mode);
        }
        require(cache_index.defined(), "cacheIndex must not be null");
        require(kv_cache.tensor.dim() == 4 && kr_cache.tensor.dim() == 4 &&
                    kv_cache.tensor.size(2) == 1,
                "kvCache and krCache must be [blocks, block size, 1, size]");
    }
    Int size() const { return weight_uk.size(1); }  // of a head that is not rotated
    Int compressed() const { return weight_uk.size(2); }
    Int rope() const { return cos.size(-1); }
    Tensor angles(const Tensor& each) const { return each.to_float().reshape({-1, rope()}); }
    Tensor tokens() const { return x.to_float().reshape({-1, x.size(-1)}); }

    Tensor query_norm() const {
        const Tensor down = aten("matmul", tokens(), weight_dq.to_float());
        return rms_normed(down, gamma_cq, eps_cq) * query_scale;
    }
    void write_queries(const Tensor& normed, const Out& query, const Out& query_rope) const {
        const Int heads = weight_uk.size(0);
        const Tensor up =
            aten("matmul", normed, weight_uq_qr.to_float()).reshape({-1, heads, size() + rope()});
        const Tensor plain = columns(up, 0, size()).transpose(0, 1);
        query = aten("bmm", plain.contiguous(), weight_uk.to_float())
                    .transpose(0, 1)
                    .reshape(query.tensor.sizes());
        const Tensor turned =
            rotated(columns(up, size(), size() + rope()), aten("unsqueeze", angles(cos), 1),
                    aten("unsqueeze", angles(sin), 1));
        query_rope = turned.reshape(query_rope.tensor.sizes());
    }
    void write_caches(const Out& kv_cache, const Out& kr_cache) const {
        const Tensor down = aten("matmul", tokens(), weight_dkv_kr.to_float());
        const Tensor key =
            rms_normed(columns(down, 0, compressed()), gamma_ckv, eps_ckv) * key_scale;
        const Tensor key_rope =
            rotated(columns(down, compressed(), compressed() + rope()), angles(cos), angles(sin));
        write(kv_cache, key);
        write(kr_cache, key_rope);
    }

  private:
    void write(const Out& cache, const Tensor& rows) const {
        const IntList slots = integers_of(cache_index);
        require(static_cast<Int>(slots.size()) == rows.size(0),
                "cacheIndex must have one slot per token, " + std::to_string(rows.size(0)) +
                    ", got " + std::to_string(slots.size()));
        const Int block_size = cache.tensor.size(1);
        const Int count = cache.tensor.size(0) * block_size;
        for (std::size_t i = 0; i < slots.size(); ++i) {
            require(slots[i] >= 0 && slots[i] < count, "cacheIndex must be 0 to " +
                                                           std::to_string(count - 1) + ", got " +
                                                           std::to_string(slots[i]));
            const Tensor block = aten("select.int", cache.tensor, 0, slots[i] / block_size);
            assign(aten("select.int", block, 0, slots[i] % block_size),
                   aten("select.int", rows, 0, static_cast<Int>(i)).reshape({1, rows.size(1)}));
        }
    }
};

}  // namespace

#define LATENT_WEIGHTS                                                                      \
    Tensor tokenX, Tensor weightDq, Tensor weightUqQr, Tensor weightUk, Tensor weightDkvKr, \
        Tensor rmsnormGammaCq, Tensor rmsnormGammaCkv, Tensor ropeSin, Tensor ropeCos
#define LATENT_SCALES                                                            \
    REFUSED(Tensor, dequantScaleX), REFUSED(Tensor, dequantScaleWDq),            \
        REFUSED(Tensor, dequantScaleWUqQr), REFUSED(Tensor, dequantScaleWDkvKr), \
        REFUSED(Tensor, quantScaleCkv), REFUSED(Tensor, quantScaleCkr),          \
        REFUSED(Tensor, smoothScalesCq)
#define LATENT                                                                                     \
    tokenX, weightDq, weightUqQr, weightUk, weightDkvKr, rmsnormGammaCq, rmsnormGammaCkv, ropeSin, \
        ropeCos, cacheIndex, rmsnormEpsilonCq, rmsnormEpsilonCkv, cacheMode

ACLNN_CHECKED(aclnnMlaPrologV2WeightNz, LATENT_WEIGHTS, Tensor cacheIndex, InOut kvCache,
              InOut krCache, LATENT_SCALES, double rmsnormEpsilonCq, double rmsnormEpsilonCkv,
              String cacheMode, Out query, Out queryRope, REFUSED(Out, dequantScaleQNope)) {
    const MlaProlog prolog = {LATENT};
    prolog.check(kvCache, krCache);
    prolog.write_queries(prolog.query_norm(), query, queryRope);
    prolog.write_caches(kvCache, krCache);
}
// The modes that are unused belong to quantised caches.
ACLNN_CHECKED(aclnnMlaPrologV3WeightNz, LATENT_WEIGHTS, InOut kvCache, InOut krCache,
              Optional<Tensor> cacheIndex, LATENT_SCALES, REFUSED(Tensor, actualSeqLen),
              REFUSED(Tensor, kNopeClipAlpha), double rmsnormEpsilonCq, double rmsnormEpsilonCkv,
              String cacheMode, REFUSED(Int, weightQuantMode), REFUSED(Int, kvCacheQuantMode),
              REFUSED(Int, queryQuantMode), REFUSED(Int, ckvkrRepoMode), Unused<Int>, Unused<Int>,
              double qcQrScale, double kcScale, Out query, Out queryRope,
              REFUSED(Out, dequantScaleQNope), Optional<Out> queryNorm,
              REFUSED(Out, dequantScaleQNorm)) {
    const MlaProlog prolog = {LATENT, qcQrScale, kcScale};
    prolog.check(kvCache, krCache);
    const Tensor normed = prolog.query_norm();
    if (queryNorm.defined() && queryNorm.tensor.numel() != 0) {
        queryNorm = normed.reshape(queryNorm.tensor.sizes());
    }
    prolog.write_queries(normed, query, queryRope);
    prolog.write_caches(kvCache, krCache);
}
