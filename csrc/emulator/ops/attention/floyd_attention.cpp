// Attention of pairs (i, k) to what lies between them: the pairs (i, j) and (j, k), in fp32.
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

namespace {

/// [B, H, N, M, x] with N and M exchanged, and back: the batches of the second keys are those of M.
Tensor exchanged(const Tensor& x) { return x.permute({0, 1, 3, 2, 4}); }

struct FloydAttention {
    Tensor query;  // [B, H, N, M, D]
    Tensor key1;   // [B, H, N, K, D]
    Tensor value1;
    Tensor key2;  // [B, H, K, M, D]
    Tensor value2;
    Tensor mask;  // [B, 1, N, 1, K]; 1 is left out
    double scale;

    void check() const {
        require_ascend910b_or_910_93();
        require(query.dim() == 5 && key1.dim() == 5 && key2.dim() == 5,
                "query, key1 and key2 must have 5 dimensions");
        const IntList& sizes = query.sizes();
        const Int count = key1.size(3);
        const DType dtype = query.dtype();
        require(dtype == DType::float16 || dtype == DType::bfloat16,
                std::string("query must be float16 or bfloat16, got ") + name_of(dtype));
        for (const Tensor& x : {key1, value1, key2, value2}) {
            require(x.dtype() == dtype,
                    "key1, value1, key2 and value2 must have the dtype of query");
        }
        require(sizes[4] == 32 || sizes[4] == 64 || sizes[4] == 128,
                "the head_dim must be 32, 64 or 128, got " + std::to_string(sizes[4]));
        require(sizes[2] % 16 == 0 && sizes[3] % 128 == 0 && count % 128 == 0,
                "N must be a multiple of 16, M and K of 128, got " + std::to_string(sizes[2]) +
                    ", " + std::to_string(sizes[3]) + " and " + std::to_string(count));
        const IntList first = {sizes[0], sizes[1], sizes[2], count, sizes[4]};
        const IntList second = {sizes[0], sizes[1], count, sizes[3], sizes[4]};
        require(key1.sizes() == first && value1.sizes() == first,
                "key1 and value1 must be [B, H, N, K, D]");
        require(key2.sizes() == second && value2.sizes() == second,
                "key2 and value2 must be [B, H, K, M, D]");
        const IntList masked = {sizes[0], 1, sizes[2], 1, count};
        require(!mask.defined() || (mask.sizes() == masked && (mask.dtype() == DType::boolean ||
                                                               mask.dtype() == DType::uint8)),
                "attenMaskOptional must be [B, 1, N, 1, K], of bool or uint8");
    }
    /// The products of x, [B, H, N, M, D], with the rows of both tensors: [B, H, N, M, K].
    static Tensor products(const Tensor& x, const Tensor& first, const Tensor& second) {
        const Tensor wide = x.to_float();
        const Tensor transposed = second.to_float().permute({0, 1, 3, 4, 2});
        return aten("matmul", wide, first.to_float().transpose(3, 4)) +
               exchanged(aten("matmul", exchanged(wide), transposed));
    }
    /// The sums of the rows of both tensors, weighted with x, [B, H, N, M, K]: [B, H, N, M, D].
    static Tensor sums(const Tensor& x, const Tensor& first, const Tensor& second) {
        return aten("matmul", x, first.to_float()) +
               exchanged(aten("matmul", exchanged(x), exchanged(second.to_float())));
    }
    /// Scaled; what the mask leaves out is far below all others.
    Tensor scores() const {
        const Tensor found = products(query, key1, key2);
        return (mask.defined() ? found + mask.to_float() * -4e9 : found) * scale;
    }
};

/// The rows of x, [B, H, N, M, D], weighted: those of each (i, j), then those of each (j, k).
void store_floyd_gradients(const Tensor& weights, const Tensor& x, const Out& first,
                           const Out& second) {
    const Tensor wide = x.to_float();
    first = aten("matmul", weights.transpose(3, 4), wide);
    const Tensor of_columns =
        aten("matmul", exchanged(weights).transpose(3, 4), exchanged(wide));  // [B, H, M, K, D]
    second = exchanged(of_columns);
}

void check_softmax(const Tensor& max, const Tensor& sum, const Tensor& query) {
    IntList sizes = query.sizes();
    sizes.back() = 8;
    for (const Tensor& x : {max, sum}) {
        require(x.sizes() == sizes && x.dtype() == DType::float32,
                "softmaxMax and softmaxSum must be [B, H, N, M, 8], of float32");
    }
}

}  // namespace

ACLNN_CHECKED(aclnnFusedFloydAttention, Tensor query, Tensor key1, Tensor value1, Tensor key2,
              Tensor value2, Optional<Tensor> attenMaskOptional, double scaleValue,
              Out softmaxMaxOut, Out softmaxSumOut, Out attentionOut) {
    const FloydAttention attention = {query,     key1, value1, key2, value2, attenMaskOptional,
                                      scaleValue};
    attention.check();
    check_softmax(softmaxMaxOut.tensor, softmaxSumOut.tensor, query);
    const Tensor scores = attention.scores();
    const Tensor largest = aten("amax", scores, IntList{-1}, true);
    const Tensor powers = aten("exp", scores - largest);
    const Tensor sum = powers.sum({-1}, true);
    softmaxMaxOut = largest.expand(softmaxMaxOut.tensor.sizes());
    softmaxSumOut = sum.expand(softmaxSumOut.tensor.sizes());
    attentionOut = FloydAttention::sums(powers / sum, value1, value2);
}
ACLNN_CHECKED(aclnnFusedFloydAttentionGrad, Tensor query, Tensor key1, Tensor value1, Tensor key2,
              Tensor value2, Tensor dy, Optional<Tensor> attenMaskOptional, Tensor softmaxMax,
              Tensor softmaxSum, Tensor attentionIn, double scaleValue, Out dqOut, Out dk1Out,
              Out dv1Out, Out dk2Out, Out dv2Out) {
    const FloydAttention attention = {query,     key1, value1, key2, value2, attenMaskOptional,
                                      scaleValue};
    attention.check();
    check_softmax(softmaxMax, softmaxSum, query);
    require(dy.sizes() == query.sizes() && attentionIn.sizes() == query.sizes(),
            "dy and attentionIn must have the shape of query");
    const auto column = [](const Tensor& x) { return x.narrow(4, 1); };
    const Tensor weights =
        aten("exp", attention.scores() - column(softmaxMax)) / column(softmaxSum);
    const Tensor dp = FloydAttention::products(dy, value1, value2);
    const Tensor seen = (dy.to_float() * attentionIn.to_float()).sum({-1}, true);
    const Tensor ds = weights * (dp - seen) * scaleValue;
    dqOut = FloydAttention::sums(ds, key1, key2);
    store_floyd_gradients(ds, query, dk1Out, dk2Out);
    store_floyd_gradients(weights, dy, dv1Out, dv2Out);
}
