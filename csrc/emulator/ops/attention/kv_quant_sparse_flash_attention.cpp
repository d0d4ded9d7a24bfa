// Attention to the keys that an indexer has chosen, whose cache holds a token's latent in int8, its
// rotated part in the query's dtype and its scales in fp32, one after the other.
#include <cstring>

#include "emulator/ops/attention/sparse_flash_attention.h"
#include "emulator/ops/slices.h"

using namespace ascend_emulator;

namespace {

constexpr Int latent_size = 512;
constexpr Int rope_size = 64;
constexpr Int tile = 128;  // elements that share a scale
constexpr Int rope_end = latent_size + rope_size * 2;
constexpr Int cached_bytes = rope_end + latent_size / tile * 4;

struct QuantizedKeys {
    Tensor cache;   // int8, [.., 1, cached_bytes]
    Tensor values;  // the same, or its latents only
    DType dtype;    // of the rotated part

    void check() const {
        if (cache.dtype() != DType::int8 || values.dtype() != DType::int8) {
            not_emulated(std::string("key and value of ") + name_of(cache.dtype()) + " and " +
                         name_of(values.dtype()));
        }
        require(
            cache.size(-1) == cached_bytes,
            "the last dimension of key must have 656 bytes, got " + std::to_string(cache.size(-1)));
        require(cache.size(-2) == 1,
                "key must have one head, got " + std::to_string(cache.size(-2)));
        require((values.size(-1) == cached_bytes || values.size(-1) == latent_size) &&
                    values.numel() / values.size(-1) == cache.numel() / cached_bytes,
                "value must have the tokens of key, of 656 or 512 bytes each");
    }
    /// A device attends to one latent as key and value, so that value must repeat that of key.
    void check_values() const {
        const Tensor same = aten("eq.Tensor", columns(cache, 0, latent_size).reshape({-1}),
                                 columns(values, 0, latent_size).reshape({-1}));
        require(aten("all", same).item() != 0, "value must hold the latents of key");
    }
    Tensor part(Int begin, Int end, DType as) const {
        return aten("view.dtype", columns(cache, begin, end).contiguous(), as);
    }
    Tensor latents() const {
        const Tensor scales = part(rope_end, cached_bytes, DType::float32);
        const Tensor tiles = columns(cache, 0, latent_size).to_float().reshape({-1, tile});
        return (tiles * scales.reshape({-1, 1})).reshape(shape(latent_size));
    }
    Tensor rotated() const { return part(latent_size, rope_end, dtype); }

  private:
    IntList shape(Int size) const {
        IntList sizes = cache.sizes();
        sizes.back() = size;
        return sizes;
    }
};

void check_quantized_attention(const Tensor& query, Int block, Int key_mode, Int value_mode,
                               Int repository, Int tile_size, Int rope_head_dim) {
    require(query.dtype() == DType::float16 || query.dtype() == DType::bfloat16,
            std::string("query must be float16 or bfloat16, got ") + name_of(query.dtype()));
    require(query.size(-1) == latent_size + rope_size,
            "the head_dim of query must be 576, got " + std::to_string(query.size(-1)));
    require(block >= 1 && block <= 16 && (block & (block - 1)) == 0,
            "sparseBlockSize must be a power of two up to 16, got " + std::to_string(block));
    require(key_mode == 2 && value_mode == 2, "keyQuantMode and valueQuantMode must be 2, got " +
                                                  std::to_string(key_mode) + " and " +
                                                  std::to_string(value_mode));
    require(repository == 1, "quantScaleRepoMode must be 1, got " + std::to_string(repository));
    require(tile_size == tile, "tileSize must be 128, got " + std::to_string(tile_size));
    require(rope_head_dim == rope_size,
            "ropeHeadDim must be 64, got " + std::to_string(rope_head_dim));
}

}  // namespace

ACLNN_CHECKED(aclnnKvQuantSparseFlashAttention, Tensor query, Tensor key, Tensor value,
              Tensor sparseIndices, REFUSED(Tensor, keyDequantScale),
              REFUSED(Tensor, valueDequantScale), Optional<Tensor> blockTable,
              Optional<Tensor> actualSeqLengthsQuery, Optional<Tensor> actualSeqLengthsKv,
              double scaleValue, Int keyQuantMode, Int valueQuantMode, Int sparseBlockSize,
              String layoutQuery, String layoutKv, Int sparseMode,
              REFUSED_UNLESS(INT64_MAX, Int, preTokens), REFUSED_UNLESS(INT64_MAX, Int, nextTokens),
              Int attentionMode, Int quantScaleRepoMode, Int tileSize, Int ropeHeadDim,
              Out attentionOut) {
    require_ascend910b_910_93_or_950();
    check_quantized_attention(query, sparseBlockSize, keyQuantMode, valueQuantMode,
                              quantScaleRepoMode, tileSize, ropeHeadDim);
    SparseFlashAttention attention = {query,
                                      key,
                                      value,
                                      sparseIndices,
                                      blockTable,
                                      actualSeqLengthsQuery,
                                      actualSeqLengthsKv,
                                      Tensor(),
                                      Tensor(),
                                      scaleValue,
                                      sparseBlockSize,
                                      layoutQuery,
                                      layoutKv,
                                      sparseMode};
    attention.check(attentionMode, false);
    require(layoutKv == "BSND" || actualSeqLengthsKv.defined(),
            "actualSeqLengthsKv is required with layoutKv " + layoutKv);
    const QuantizedKeys keys = {key, value, query.dtype()};
    keys.check();
    keys.check_values();
    attention.key = keys.latents();
    attention.value = attention.key;
    attention.key_rope = keys.rotated();
    attention.query = columns(query, 0, latent_size);
    attention.query_rope = columns(query, latent_size, latent_size + rope_size);
    attention.run(attentionOut);
}
