// Rotary embedding of keys, and their way into a cache. All compute in fp32.
#include "emulator/ops/checks.h"
#include "emulator/ops/quantization/quantized.h"
#include "emulator/ops/rms_norm.h"
#include "emulator/ops/rotary.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

/// Even elements first, then the odd ones.
Tensor even_then_odd(const Tensor& x) {
    const Int size = x.size(-1);
    return aten("cat",
                TensorList{aten("slice.Tensor", x, -1, Int{0}, size, Int{2}),
                           aten("slice.Tensor", x, -1, Int{1}, size, Int{2})},
                -1);
}

/// How values become the dtype of a cache.
struct Scaling {
    Tensor scale;
    Tensor offset;

    void check(const char* name, const Tensor& cache) const {
        require((cache.dtype() == DType::int8) == scale.defined(),
                std::string(name) + " must be given if its cache is int8, and only then");
    }
    void store(const Out& out, const Tensor& values) const {
        if (!scale.defined()) {
            out = values;
            return;
        }
        const Tensor scaled = values * scale.to_float();
        store_quantized(out, offset.defined() ? scaled + offset.to_float() : scaled);
    }
};

/// Write values [tokens, heads, D] into the slots of a cache of blocks; -1 is left out.
void write_slots(const InOut& cache, const Tensor& values, const IntList& slots,
                 const Scaling& scaling) {
    const Tensor flat =
        aten("view", cache.tensor, IntList{-1, cache.tensor.size(2), cache.tensor.size(3)});
    for (std::size_t i = 0; i < slots.size(); ++i) {
        require(slots[i] >= -1 && slots[i] < flat.size(0), "index must be -1 to " +
                                                               std::to_string(flat.size(0) - 1) +
                                                               ", got " + std::to_string(slots[i]));
        if (slots[i] >= 0) {
            scaling.store({aten("select.int", flat, 0, slots[i]), cache.parameter},
                          aten("select.int", values, 0, static_cast<Int>(i)));
        }
    }
}

/// Write values [batch, heads, tokens, D] into a cache [batch, heads, positions, D].
void write_positions(const InOut& cache, const Tensor& values, const Tensor& index,
                     const Scaling& scaling) {
    const IntList positions = integers_of(index);
    const Int tokens = values.size(2);
    for (std::size_t i = 0; i < positions.size(); ++i) {
        const Int batch = static_cast<Int>(i) / tokens;
        const Int limit = cache.tensor.size(2);
        require(positions[i] >= -1 && positions[i] < limit,
                "index must be -1 to " + std::to_string(limit - 1) + ", got " +
                    std::to_string(positions[i]));
        if (positions[i] >= 0) {
            const Tensor target =
                aten("select.int", aten("select.int", cache.tensor, 0, batch), 1, positions[i]);
            scaling.store({target, cache.parameter},
                          aten("select.int", aten("select.int", values, 0, batch), 1,
                               static_cast<Int>(i) % tokens));
        }
    }
}

struct Latent {
    Tensor kv;
    Tensor gamma;
    Tensor cos;
    Tensor sin;
    Tensor index;
    Scaling key_scaling;
    Scaling latent_scaling;

    void run(const InOut& key_cache, const InOut& latent_cache, double eps, const String& mode,
             bool outputs, const Out& key_out, const Out& latent_out) const {
        const bool is_paged = mode == "PA" || mode == "PA_BNSD";
        if (!mode.empty() && mode != "Norm" && !is_paged) {
            not_emulated("cacheMode " + mode);
        }
        key_scaling.check("kRopeScale", key_cache.tensor);
        latent_scaling.check("cKvScale", latent_cache.tensor);
        const Int width = gamma.size(0);
        const Tensor wide = kv.to_float();
        const Tensor latent = rms_norm(wide.narrow(-1, width), gamma, eps).normed;
        const Tensor key =
            embedded(even_then_odd(aten("slice.Tensor", wide, -1, width, kv.size(-1))), cos, sin);
        if (is_paged) {
            const auto tokens = [](const Tensor& x) {
                return x.permute({0, 2, 1, 3}).reshape({-1, x.size(1), x.size(3)});
            };
            write_slots(key_cache, tokens(key), integers_of(index), key_scaling);
            write_slots(latent_cache, tokens(latent), integers_of(index), latent_scaling);
        } else {
            write_positions(key_cache, key, index, key_scaling);
            write_positions(latent_cache, latent, index, latent_scaling);
        }
        if (outputs) {
            key_out = key;
            latent_out = latent;
        }
    }
};

}  // namespace

ACLNN(aclnnInterleaveRope, Tensor x, Tensor cos, Tensor sin, Out out) {
    out = embedded(even_then_odd(x.to_float()), cos, sin);
}

ACLNN_CHECKED(aclnnKvRmsNormRopeCache, Tensor kv, Tensor gamma, Tensor cos, Tensor sin,
              Tensor index, InOut key_cache, InOut latent_cache, Optional<Tensor> key_scale,
              Optional<Tensor> latent_scale, Optional<Tensor> key_offset,
              Optional<Tensor> latent_offset, double eps, String mode, bool outputs,
              Optional<Out> key_out, Optional<Out> latent_out) {
    Latent{kv, gamma, cos, sin, index, {key_scale, key_offset}, {latent_scale, latent_offset}}.run(
        key_cache, latent_cache, eps, mode, outputs, key_out, latent_out);
}
ACLNN_CHECKED(aclnnKvRmsNormRopeCacheV2, Tensor kv, Tensor gamma, Tensor cos, Tensor sin,
              Tensor index, InOut key_cache, InOut latent_cache, Optional<Tensor> key_scale,
              Optional<Tensor> latent_scale, Optional<Tensor> key_offset,
              Optional<Tensor> latent_offset, REFUSED(Tensor, v), double eps, String mode,
              bool outputs, Optional<Out> key_out, Optional<Out> latent_out) {
    Latent{kv, gamma, cos, sin, index, {key_scale, key_offset}, {latent_scale, latent_offset}}.run(
        key_cache, latent_cache, eps, mode, outputs, key_out, latent_out);
}

namespace {

struct Heads {
    Tensor q;
    Tensor k;
    Tensor v;
};

/// The heads of q, k and v, in the last two dimensions.
Heads split_heads(const Tensor& x, const IntList& sizes, Int head_dim) {
    require(sizes.size() == 3, "sizeSplits must have 3 sizes, got " + std::to_string(sizes.size()));
    const TensorList parts = aten_all("split_with_sizes", x, sizes, -1);
    const auto heads = [&](const Tensor& part) {
        IntList shape = part.sizes();
        shape.back() /= head_dim;
        shape.push_back(head_dim);
        return part.reshape(shape);
    };
    return {heads(parts[0]), heads(parts[1]), heads(parts[2])};
}

Tensor dequantized(const Tensor& x, const Tensor& weight_scale, const Tensor& activation_scale,
                   const Tensor& bias) {
    const bool is_integer_bias = bias.defined() && bias.dtype() == DType::int32;
    Tensor values = (is_integer_bias ? x + bias : x).to_float();
    if (weight_scale.defined()) {
        values = values * weight_scale.to_float();
    }
    if (activation_scale.defined()) {
        IntList per_row = x.sizes();
        per_row.back() = 1;
        values = values * activation_scale.to_float().reshape(per_row);
    }
    return bias.defined() && !is_integer_bias ? values + bias.to_float() : values;
}

/// The slots of `tokens` tokens from a position on, in a cache of `length` positions per batch.
IntList consecutive_slots(const IntList& starts, Int tokens, Int length) {
    IntList slots;
    for (std::size_t batch = 0; batch < starts.size(); ++batch) {
        require(starts[batch] >= 0 && starts[batch] + tokens <= length,
                "indices must be 0 to " + std::to_string(length - tokens) + ", got " +
                    std::to_string(starts[batch]));
        for (Int token = 0; token < tokens; ++token) {
            slots.push_back(static_cast<Int>(batch) * length + starts[batch] + token);
        }
    }
    return slots;
}

void check_modes(const String& quant_mode, const String& layout, const String& cache_mode) {
    require(quant_mode.empty() || quant_mode == "static",
            "quantMode must be static, got " + quant_mode);
    require(layout.empty() || layout == "BSND", "layout must be BSND, got " + layout);
    require(cache_mode == "page" || cache_mode.empty() || cache_mode == "contiguous",
            "cacheMode must be page or contiguous, got " + cache_mode);
}

}  // namespace

// x is [batch, tokens, H] or [batch, H]; the caches [blocks, block size, heads, D] or
// [batch, positions, heads, D].
ACLNN_CHECKED(aclnnDequantRopeQuantKvcache, Tensor x, Tensor cos, Tensor sin, InOut key_cache,
              InOut value_cache, Tensor indices, Tensor key_scale, Tensor value_scale,
              Optional<Tensor> key_offset, Optional<Tensor> value_offset,
              Optional<Tensor> weight_scale, Optional<Tensor> activation_scale,
              Optional<Tensor> bias, Ints sizes, String quant_mode, String layout, bool outputs,
              String mode, Out q_out, Optional<Out> k_out, Optional<Out> v_out) {
    check_modes(quant_mode, layout, mode);
    const bool is_paged = mode == "page";
    require((x.dtype() == DType::int32) == weight_scale.defined(),
            "weightScale must be given if x is int32, and only then");
    const Tensor values = dequantized(x, weight_scale, activation_scale, bias);
    const Heads heads = split_heads(values, sizes, cos.size(-1));
    const auto spread = [&](const Tensor& part) {
        return x.dim() == 2 ? aten("unsqueeze", part, 1) : part;
    };
    const Tensor q = embedded(heads.q, spread(cos), spread(sin));
    const Tensor k = embedded(heads.k, spread(cos), spread(sin));
    q_out = q;
    if (outputs) {
        k_out = k;
        v_out = heads.v;
    }
    // The scales divide here.
    const Scaling key{aten("reciprocal", key_scale.to_float()), key_offset};
    const Scaling value{aten("reciprocal", value_scale.to_float()), value_offset};
    const IntList slots =
        is_paged ? integers_of(indices)
                 : consecutive_slots(integers_of(indices), x.dim() == 3 ? x.size(1) : 1,
                                     key_cache.tensor.size(1));
    const auto rows = [](const Tensor& part) {
        return part.reshape({-1, part.size(-2), part.size(-1)});
    };
    write_slots(key_cache, rows(k), slots, key);
    write_slots(value_cache, rows(heads.v), slots, value);
}
