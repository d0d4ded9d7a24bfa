// Mixture of experts: grouped matmul, feed-forward networks of experts.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

#include <numeric>

using namespace ascend_emulator;

namespace {

Tensor rows(const Tensor& x, Int begin, Int end) { return aten("slice.Tensor", x, 0, begin, end); }

/// The ends of the groups, given their ends (type 0) or their sizes (type 1).
IntList ends_of(const Tensor& group_list, Int type, Int total) {
    const Tensor list = group_list.to(DType::int64).contiguous();
    const auto* values = static_cast<const Int*>(list.data());
    IntList ends;
    Int end = 0;
    for (Int i = 0; i < list.numel(); ++i) {
        const Int next = type == 0 ? values[i] : end + values[i];
        if (next < end) {
            refuse("groupList must not decrease, got " + std::to_string(next) + " after " +
                   std::to_string(end));
        }
        ends.push_back(end = next);
    }
    if (end > total) {
        refuse("groupList must end at most at " + std::to_string(total) + ", got " +
               std::to_string(end));
    }
    return ends;
}

const Tensor& only(const TensorList& list, const char* name) {
    if (list.size() != 1) {
        not_emulated(std::string(name) + " with " + std::to_string(list.size()) + " tensors");
    }
    return list.front();
}

void grouped_matmul(const TensorList& xs, const TensorList& weights, const TensorList& biases,
                    const Tensor& group_list, Int group_type, Int list_type, const Outs& outs) {
    const Tensor& x = only(xs, "x");
    const Tensor& weight = only(weights, "weight");
    if (group_type != 0 && group_type != 2) {
        not_emulated("groupType " + std::to_string(group_type));
    }
    if (group_type == 2 && !biases.empty()) {
        not_emulated("bias with groupType 2");
    }
    const Tensor wide = x.to_float();
    TensorList parts;
    Int begin = 0;
    if (group_type == 0) {
        const IntList ends = ends_of(group_list, list_type, x.size(0));
        if (static_cast<Int>(ends.size()) != weight.size(0) || x.size(1) != weight.size(1)) {
            refuse("weight must be [groups, K, N]: groupList has " + std::to_string(ends.size()) +
                   " groups and x has a K of " + std::to_string(x.size(1)));
        }
        for (std::size_t i = 0; i < ends.size(); ++i) {
            Tensor part = aten("matmul", rows(wide, begin, ends[i]),
                               aten("select.int", weight, 0, static_cast<Int>(i)).to_float());
            if (!biases.empty()) {
                part = part + aten("select.int", biases.front(), 0, static_cast<Int>(i)).to_float();
            }
            parts.push_back(part);
            begin = ends[i];
        }
        parts.push_back(full({x.size(0) - begin, weight.size(2)}, Scalar{0.0}, DType::float32));
        assign(only(outs.tensors, "y"), aten("cat", parts, 0));
        return;
    }
    for (const Int end : ends_of(group_list, list_type, x.size(1))) {
        parts.push_back(aten("matmul", aten("slice.Tensor", wide, 1, begin, end),
                             rows(weight.to_float(), begin, end)));
        begin = end;
    }
    assign(only(outs.tensors, "y"), aten("stack", parts, 0));
}

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

struct Feed {
    Tensor x;
    Tensor weight1;
    Tensor weight2;
    Tensor bias1;
    Tensor bias2;
    String activation;

    Tensor expert(const Tensor& tokens, const std::optional<Int>& index) const {
        const auto of = [&](const Tensor& x) {
            return (index ? aten("select.int", x, 0, *index) : x).to_float();
        };
        Tensor hidden = aten("matmul", tokens.to_float(), of(weight1));
        if (bias1.defined()) {
            hidden = hidden + of(bias1);
        }
        const Tensor output = aten("matmul", activated(hidden, activation), of(weight2));
        return bias2.defined() ? output + of(bias2) : output;
    }

    Tensor run(const std::optional<IntList>& counts) const {
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
    if (!tokens.defined()) {
        return std::nullopt;
    }
    const Tensor list = tokens.to(DType::int64).contiguous();
    const auto* values = static_cast<const Int*>(list.data());
    return IntList(values, values + list.numel());
}

/// The number of tokens of each expert, given them or, with the tokensIndexFlag, their ends.
std::optional<IntList> counts_of(std::optional<IntList> tokens, bool are_ends) {
    if (tokens && are_ends) {
        std::adjacent_difference(tokens->begin(), tokens->end(), tokens->begin());
    }
    return tokens;
}

}  // namespace

#define QUANTISATION_LISTS                                                               \
    REFUSED(Tensors, scale), REFUSED(Tensors, offset), REFUSED(Tensors, antiquantScale), \
        REFUSED(Tensors, antiquantOffset)
#define ACTIVATION_LISTS                                                       \
    REFUSED(Tensors, activationInput), REFUSED(Tensors, activationQuantScale), \
        REFUSED(Tensors, activationQuantOffset)
#define MORE_OUTPUTS REFUSED(Outs, activationFeatureOut), REFUSED(Outs, dynQuantScaleOut)
#define QUANTISATION_TENSORS                                                     \
    REFUSED(Tensor, scale), REFUSED(Tensor, offset), REFUSED(Tensor, deqScale1), \
        REFUSED(Tensor, deqScale2), REFUSED(Tensor, antiquantScale1),            \
        REFUSED(Tensor, antiquantScale2), REFUSED(Tensor, antiquantOffset1),     \
        REFUSED(Tensor, antiquantOffset2)

// splitItem tells whether y is one tensor or several, as its list does, and tuningConfig is a hint.
ACLNN_CHECKED(aclnnGroupedMatmulV3, Tensors x, Tensors weight, Optional<Tensors> bias,
              QUANTISATION_LISTS, Tensor groupList, Unused<Int>, Int group_type, Outs y) {
    grouped_matmul(x, weight, bias, groupList, group_type, 0, y);
}
ACLNN_CHECKED(aclnnGroupedMatmulV4, Tensors x, Tensors weight, Optional<Tensors> bias,
              QUANTISATION_LISTS, REFUSED(Tensors, perTokenScale), Tensor groupList,
              ACTIVATION_LISTS, Unused<Int>, Int group_type, Int list_type, REFUSED(Int, actType),
              Outs y, MORE_OUTPUTS) {
    grouped_matmul(x, weight, bias, groupList, group_type, list_type, y);
}
ACLNN_CHECKED(aclnnGroupedMatmulV5, Tensors x, Tensors weight, Optional<Tensors> bias,
              QUANTISATION_LISTS, REFUSED(Tensors, perTokenScale), Tensor groupList,
              ACTIVATION_LISTS, Unused<Int>, Int group_type, Int list_type, REFUSED(Int, actType),
              Unused<Ints>, Outs y, MORE_OUTPUTS) {
    grouped_matmul(x, weight, bias, groupList, group_type, list_type, y);
}

// innerPrecise is a hint.
ACLNN_CHECKED(aclnnFFN, Tensor x, Tensor weight1, Tensor weight2, OptionalInts counts,
              Optional<Tensor> bias1, Optional<Tensor> bias2, QUANTISATION_TENSORS,
              String activation, Unused<Int>, Out y) {
    y = Feed{x, weight1, weight2, bias1, bias2, activation}.run(counts.values);
}
ACLNN_CHECKED(aclnnFFNV2, Tensor x, Tensor weight1, Tensor weight2, OptionalInts counts,
              Optional<Tensor> bias1, Optional<Tensor> bias2, QUANTISATION_TENSORS,
              String activation, Unused<Int>, bool tokensIndexFlag, Out y) {
    y = Feed{x, weight1, weight2, bias1, bias2, activation}.run(
        counts_of(counts.values, tokensIndexFlag));
}
ACLNN_CHECKED(aclnnFFNV3, Tensor x, Tensor weight1, Tensor weight2, Optional<Tensor> counts,
              Optional<Tensor> bias1, Optional<Tensor> bias2, QUANTISATION_TENSORS,
              String activation, Unused<Int>, bool tokensIndexFlag, Out y) {
    y = Feed{x, weight1, weight2, bias1, bias2, activation}.run(
        counts_of(values_of(counts), tokensIndexFlag));
}
