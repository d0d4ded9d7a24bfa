// A joint projection of queries, keys and values: queries and keys are normalized and rotated, keys
// and values go to the slots of a paged cache. All in fp32.
#include <set>

#include "emulator/ops/checks.h"
#include "emulator/ops/quantization/quantized.h"
#include "emulator/ops/rms_norm.h"
#include "emulator/ops/rotary.h"
#include "emulator/ops/rows.h"
#include "emulator/ops/slices.h"

using namespace ascend_emulator;

namespace {

/// A cache in fractions of 32 bytes: [blocks, heads * D / elements, block size, elements].
struct FractionCache {
    std::string name;
    Tensor cache;
    Tensor scale;   // [heads, D], of an int8 cache
    Tensor offset;  // the same, or undefined
    Int heads;

    void check(const Tensor& qkv, Int size) const {
        const bool is_quantized = cache.dtype() == DType::int8;
        require(is_quantized || cache.dtype() == qkv.dtype(),
                name + "Cache must be int8 or have the dtype of qkv, " + name_of(qkv.dtype()) +
                    ", got " + name_of(cache.dtype()));
        const Int elements = 32 / element_size(cache.dtype());
        require(cache.dim() == 4 && cache.size(1) == heads * size / elements &&
                    cache.size(3) == elements,
                name + "Cache must be [blocks, " + std::to_string(heads * size / elements) +
                    ", block size, " + std::to_string(elements) + "]");
        require(cache.size(2) % elements == 0, name +
                                                   "Cache must have a block size that is a "
                                                   "multiple of " +
                                                   std::to_string(elements) + ", got " +
                                                   std::to_string(cache.size(2)));
        require(is_quantized == scale.defined(),
                name + "Scale must be given if its cache is int8, and only then");
        require(is_quantized || !offset.defined(),
                name + "Offset must be null if its cache is not int8");
        for (const Tensor* factors : {&scale, &offset}) {
            require(!factors->defined() || (factors->dtype() == DType::float32 &&
                                            factors->sizes() == IntList{heads, size}),
                    name + "Scale and " + name + "Offset must be float32 and [" +
                        std::to_string(heads) + ", " + std::to_string(size) + "]");
        }
    }

    /// Write x, [tokens, heads, D].
    void store(const Tensor& x, const IntList& slots) const {
        Tensor values = scale.defined() ? x / scale : x;
        values = offset.defined() ? values + offset : values;
        const Int block_size = cache.size(2);
        for (std::size_t token = 0; token < slots.size(); ++token) {
            if (slots[token] < 0) {
                continue;
            }
            const Tensor block = aten("select.int", cache, 0, slots[token] / block_size);
            const Out target = {aten("select.int", block, 1, slots[token] % block_size)};
            const Tensor own = aten("select.int", values, 0, static_cast<Int>(token))
                                   .reshape({cache.size(1), cache.size(3)});
            if (scale.defined()) {
                store_quantized(target, own);
            } else {
                target = own;
            }
        }
    }
};

/// The slots that the tokens go to; -1 is left out.
IntList cache_slots(const Tensor& index, const Tensor& cache) {
    const Int count = cache.size(0) * cache.size(2);
    IntList slots = integers_of(index);
    std::set<Int> used;
    for (const Int slot : slots) {
        require(slot >= -1 && slot < count, "index must be -1 to " + std::to_string(count - 1) +
                                                ", got " + std::to_string(slot));
        require(slot < 0 || used.insert(slot).second,
                "index must name each slot at most once, got again " + std::to_string(slot));
    }
    return slots;
}

struct JointProjection {
    Tensor qkv;  // [batch * tokens, heads * D]
    Tensor cos;  // [batch * tokens or batch, D]
    Tensor sin;
    IntList sizes;  // batch, tokens, heads, D
    IntList heads;  // of queries, keys and values

    Int size() const { return sizes[3]; }
    Int rows() const { return sizes[0] * sizes[1]; }

    void check_sizes() const {
        require(sizes.size() == 4 && heads.size() == 3,
                "qkvSize must have 4 elements and headNums 3, got " + std::to_string(sizes.size()) +
                    " and " + std::to_string(heads.size()));
        require(std::all_of(sizes.begin(), sizes.end(), [](Int n) { return n > 0; }),
                "qkvSize must be positive");
        require(
            heads[1] == heads[2] && heads[0] + heads[1] + heads[2] == sizes[2],
            "headNums must be as many keys as values and add up to " + std::to_string(sizes[2]));
        require(size() == 128, "qkvSize must end in 128, got " + std::to_string(size()));
    }
    void check(const Tensor& q_gamma, const Tensor& k_gamma, const Tensor& index) const {
        check_sizes();
        require(qkv.dtype() == DType::float16 || qkv.dtype() == DType::bfloat16,
                std::string("qkv must be float16 or bfloat16, got ") + name_of(qkv.dtype()));
        require(qkv.sizes() == IntList{rows(), sizes[2] * size()},
                "qkv must be [" + std::to_string(rows()) + ", " +
                    std::to_string(sizes[2] * size()) + "] as in qkvSize");
        for (const Tensor* x : {&q_gamma, &k_gamma, &cos, &sin}) {
            require(x->dtype() == qkv.dtype(),
                    std::string("qGamma, kGamma, cos and sin must have the dtype of qkv, got ") +
                        name_of(x->dtype()));
        }
        require(q_gamma.sizes() == IntList{size()} && k_gamma.sizes() == IntList{size()},
                "qGamma and kGamma must have " + std::to_string(size()) + " elements");
        const bool per_row = cos.size(0) == rows();
        require(cos.sizes() == sin.sizes() && cos.dim() == 2 && cos.size(1) == size() &&
                    (per_row || cos.size(0) == sizes[0]),
                "cos and sin must be [" + std::to_string(rows()) + " or " +
                    std::to_string(sizes[0]) + ", " + std::to_string(size()) + "]");
        require(index.dtype() == DType::int64 && index.sizes() == IntList{rows()},
                "index must be int64 with " + std::to_string(rows()) + " elements");
    }

    /// [rows, heads, D] of queries (0), keys (1) or values (2).
    Tensor part(std::size_t which) const {
        const auto begin = std::accumulate(heads.begin(), heads.begin() + as_index(which), Int{0});
        return columns(qkv.to_float(), begin * size(), (begin + heads[which]) * size())
            .reshape({rows(), heads[which], size()});
    }
    Tensor rotated(std::size_t which, const Tensor& gamma, double epsilon) const {
        const auto angles = [&](const Tensor& x) {
            const Tensor each =
                x.size(0) == rows() ? x : aten("repeat_interleave.self_int", x, sizes[1], 0);
            return aten("unsqueeze", each, 1);
        };
        return embedded(rms_norm(part(which), gamma, epsilon).normed, angles(cos), angles(sin));
    }
};

Tensor joined_heads(const Tensor& x) { return x.reshape({x.size(0), -1}); }

}  // namespace

ACLNN_CHECKED(aclnnQkvRmsNormRopeCache, Tensor qkv, Tensor qGamma, Tensor kGamma, Tensor cos,
              Tensor sin, Tensor index, InOut qOut, InOut kCache, InOut vCache,
              Optional<Tensor> kScale, Optional<Tensor> vScale, Optional<Tensor> kOffset,
              Optional<Tensor> vOffset, Ints qkvSize, Ints headNums, double epsilon,
              String cacheMode, Optional<Out> qOutBeforeQuant, Optional<Out> kOutBeforeQuant,
              Optional<Out> vOutBeforeQuant) {
    require_ascend910b_or_910_93();
    require(cacheMode == "PA_NZ", "cacheMode must be PA_NZ, got " + cacheMode);
    const JointProjection joint = {qkv, cos, sin, qkvSize, headNums};
    joint.check(qGamma, kGamma, index);
    const FractionCache keys = {"k", kCache.tensor, kScale, kOffset, headNums[1]};
    const FractionCache values = {"v", vCache.tensor, vScale, vOffset, headNums[2]};
    keys.check(qkv, joint.size());
    values.check(qkv, joint.size());
    require(kCache.tensor.size(0) == vCache.tensor.size(0) &&
                kCache.tensor.size(2) == vCache.tensor.size(2),
            "kCache and vCache must have the same blocks");
    const Int block_size = kCache.tensor.size(2);
    const Int blocks = (qkvSize[1] + block_size - 1) / block_size * qkvSize[0];
    require(kCache.tensor.size(0) >= blocks, "kCache must have at least " + std::to_string(blocks) +
                                                 " blocks, got " +
                                                 std::to_string(kCache.tensor.size(0)));
    const IntList slots = cache_slots(index, kCache.tensor);
    const Tensor q = joint.rotated(0, qGamma, epsilon);
    const Tensor k = joint.rotated(1, kGamma, epsilon);
    const Tensor v = joint.part(2);
    qOut = joined_heads(q);
    keys.store(k, slots);
    values.store(v, slots);
    qOutBeforeQuant = joined_heads(q);
    kOutBeforeQuant = joined_heads(k);
    vOutBeforeQuant = joined_heads(v);
}
