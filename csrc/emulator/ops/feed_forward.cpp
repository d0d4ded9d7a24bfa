// Feed-forward networks of experts.
#include "emulator/ops/checks.h"
#include "emulator/ops/groups.h"
#include "emulator/ops/quantization/product.h"
#include "emulator/ops/rows.h"

#include <numeric>

using namespace ascend_emulator;

namespace {

Tensor activated(const Tensor& x, const String& name) {
    if (name == "gelu") {
        return aten("gelu", x, "tanh");
    }
    if (name == "fastgelu") {
        return x * aten("sigmoid", x * 1.702);
    }
    if (name == "relu" || name == "silu") {
        return name == "relu" ? aten("relu", x) : aten("silu", x);
    }
    const String base = name == "geglu" ? "gelu" : name == "swiglu" ? "silu" : "relu";
    if (name != "geglu" && name != "swiglu" && name != "reglu") {
        refuse("activation must be gelu, fastgelu, relu, silu, geglu, swiglu or reglu, got " +
               name);
    }
    const TensorList halves = aten_all("chunk", x, 2, -1);
    return activated(halves[0], base) * halves[1];
}

/// The quantized arguments. Those that are not given are undefined.
struct QuantizedArguments {
    Tensor scale;
    Tensor offset;
    Tensor deq_scale1;
    Tensor deq_scale2;
    Tensor antiquant_scale1;
    Tensor antiquant_scale2;
    Tensor antiquant_offset1;
    Tensor antiquant_offset2;
};

struct Feed {
    Tensor x;
    Tensor weight1;
    Tensor weight2;
    Tensor bias1;
    Tensor bias2;
    QuantizedArguments factors;
    String activation;

    /// The part of a parameter that belongs to an expert.
    static Tensor part(const Tensor& all, const std::optional<Int>& index) {
        return all.defined() && index ? aten("select.int", all, 0, *index) : all;
    }

    static Tensor product(const Tensor& left, const Tensor& weight, const Tensor& scale,
                          const Tensor& offset, const Tensor& bias) {
        const Tensor right =
            scale.defined() ? dequantized_weight(weight, scale, offset, 0) : real_values(weight);
        const Tensor found = aten("matmul", left.to_float(), right);
        return bias.defined() ? found + bias.to_float() : found;
    }

    static Tensor integer_product(const Tensor& left, const Tensor& weight, const Tensor& scale,
                                  const Tensor& bias) {
        Dequantization dequantization;
        dequantization.x2_scale = scale;
        dequantization.bias = bias;
        return dequantized_product(left, quantized_operand(weight), dequantization);
    }

    Tensor expert(const Tensor& tokens, const std::optional<Int>& index) const {
        const auto of = [&](const Tensor& all) { return part(all, index); };
        if (x.dtype() != DType::int8) {
            const Tensor hidden = product(tokens, of(weight1), of(factors.antiquant_scale1),
                                          of(factors.antiquant_offset1), of(bias1));
            return product(activated(hidden, activation), of(weight2), of(factors.antiquant_scale2),
                           of(factors.antiquant_offset2), of(bias2));
        }
        const Tensor hidden = activated(
            integer_product(tokens, of(weight1), of(factors.deq_scale1), of(bias1)), activation);
        Tensor scaled = hidden * of(factors.scale).to_float();
        if (factors.offset.defined()) {
            scaled = scaled + of(factors.offset).to_float();
        }
        const Tensor quantized = aten("clamp", round_by(scaled, "round"), -128.0, 127.0);
        return integer_product(quantized, of(weight2), of(factors.deq_scale2), of(bias2));
    }

    static void require_null(const Tensor& factor, const char* name, const char* operand,
                             DType dtype) {
        require(!factor.defined(),
                std::string(name) + " must be null if " + operand + " is " + name_of(dtype));
    }

    void check() const {
        const DType left = x.dtype();
        if (left != DType::int8) {
            require_null(factors.scale, "scale", "x", left);
            require_null(factors.offset, "offset", "x", left);
            require_null(factors.deq_scale1, "deqScale1", "x", left);
            require_null(factors.deq_scale2, "deqScale2", "x", left);
        } else {
            require(factors.scale.defined() && factors.deq_scale1.defined() &&
                        factors.deq_scale2.defined(),
                    "scale, deqScale1 and deqScale2 must be given if x is int8");
        }
        const DType right = weight1.dtype();
        if (left == right) {
            require_null(factors.antiquant_scale1, "antiquantScale1", "weight1", right);
            require_null(factors.antiquant_scale2, "antiquantScale2", "weight2", right);
            require_null(factors.antiquant_offset1, "antiquantOffset1", "weight1", right);
            require_null(factors.antiquant_offset2, "antiquantOffset2", "weight2", right);
        } else {
            require(factors.antiquant_scale1.defined() && factors.antiquant_scale2.defined(),
                    "antiquantScale1 and antiquantScale2 must be given if weight1 is " +
                        std::string(name_of(right)));
        }
    }

    Tensor run(const std::optional<IntList>& counts) const {
        check();
        const bool is_gated =
            activation.size() > 3 && activation.compare(activation.size() - 3, 3, "glu") == 0;
        if (is_gated && (counts || x.dtype() != DType::float16)) {
            refuse("activation must be used with float16 and without expertTokens, got " +
                   activation);
        }
        if (!counts) {
            return expert(x, std::nullopt);
        }
        TensorList parts;
        Int begin = 0;
        for (std::size_t i = 0; i < counts->size(); ++i) {
            const Int end = begin + (*counts)[i];
            parts.push_back(expert(rows(x, begin, end), static_cast<Int>(i)));
            begin = end;
        }
        if (begin != x.size(0)) {
            refuse("expertTokens must add up to " + std::to_string(x.size(0)) + ", got " +
                   std::to_string(begin));
        }
        return aten("cat", parts, 0);
    }
};

std::optional<IntList> values_of(const Tensor& tokens) {
    return tokens.defined() ? std::optional<IntList>(integers_of(tokens)) : std::nullopt;
}

/// The number of tokens of each expert, given them or, with the tokensIndexFlag, their ends.
std::optional<IntList> counts_of(std::optional<IntList> tokens, bool are_ends) {
    if (tokens && are_ends) {
        std::adjacent_difference(tokens->begin(), tokens->end(), tokens->begin());
    }
    return tokens;
}

}  // namespace

#define QUANTIZED                                                                 \
    Optional<Tensor> scale, Optional<Tensor> offset, Optional<Tensor> deq_scale1, \
        Optional<Tensor> deq_scale2, Optional<Tensor> antiquant_scale1,           \
        Optional<Tensor> antiquant_scale2, Optional<Tensor> antiquant_offset1,    \
        Optional<Tensor> antiquant_offset2
#define FACTORS                                                                    \
    QuantizedArguments {                                                           \
        scale, offset, deq_scale1, deq_scale2, antiquant_scale1, antiquant_scale2, \
            antiquant_offset1, antiquant_offset2                                   \
    }

// innerPrecise is a hint.
ACLNN_CHECKED(aclnnFFN, Tensor x, Tensor weight1, Tensor weight2, OptionalInts counts,
              Optional<Tensor> bias1, Optional<Tensor> bias2, QUANTIZED, String activation,
              Unused<Int>, Out y) {
    y = Feed{x, weight1, weight2, bias1, bias2, FACTORS, activation}.run(counts.values);
}
ACLNN_CHECKED(aclnnFFNV2, Tensor x, Tensor weight1, Tensor weight2, OptionalInts counts,
              Optional<Tensor> bias1, Optional<Tensor> bias2, QUANTIZED, String activation,
              Unused<Int>, bool tokensIndexFlag, Out y) {
    y = Feed{x, weight1, weight2, bias1, bias2, FACTORS, activation}.run(
        counts_of(counts.values, tokensIndexFlag));
}
ACLNN_CHECKED(aclnnFFNV3, Tensor x, Tensor weight1, Tensor weight2, Optional<Tensor> counts,
              Optional<Tensor> bias1, Optional<Tensor> bias2, QUANTIZED, String activation,
              Unused<Int>, bool tokensIndexFlag, Out y) {
    y = Feed{x, weight1, weight2, bias1, bias2, FACTORS, activation}.run(
        counts_of(values_of(counts), tokensIndexFlag));
}
