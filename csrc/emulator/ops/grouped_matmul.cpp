// Grouped matrix multiplication: plain, with quantized operands, and with quantized weights.
#include "emulator/ops/checks.h"
#include "emulator/ops/groups.h"
#include "emulator/ops/quantization/product.h"

using namespace ascend_emulator;

namespace {

/// What the versions of the function have in common. A list that is not given is empty.
struct GroupedMatmul {
    TensorList x;
    TensorList weight;
    TensorList bias;
    TensorList scale;
    TensorList offset;
    TensorList antiquant_scale;
    TensorList antiquant_offset;
    TensorList per_token_scale;
    Int activation = 0;

    /// The parameters of a group: a member of the list, or a part of its only tensor.
    Tensor of_group(const TensorList& list, std::size_t group) const {
        if (list.empty() || !list.front().defined() || list.front().numel() == 0) {
            return {};
        }
        const bool is_one_weight = weight.size() == 1 && weight.front().dim() == 3;
        if (list.size() == 1 && (is_one_weight || weight.size() > 1)) {
            return aten("select.int", list.front(), 0, static_cast<Int>(group));
        }
        return list.at(list.size() == 1 ? 0 : group);
    }

    bool is_integer() const {
        const DType dtype = x.front().dtype();
        return dtype == DType::int8 || dtype == DType::int4 || dtype == DType::int32;
    }

    Tensor product(const Tensor& left, std::size_t group, const Tensor& token_scale) const {
        const Tensor right = of_group(weight, group);
        if (!is_integer()) {
            return real_product(left, right, group);
        }
        const Tensor a = quantized_operand(left);
        const Tensor b = quantized_operand(right);
        const Tensor factor = of_group(scale, group);
        if (left.dtype() == DType::int8 && right.dtype() != DType::int8) {
            return int8_by_int4_product(a, b, factor, of_group(bias, group), token_scale);
        }
        if (!factor.defined()) {
            const Tensor sum = exact_product(a, b);
            const Tensor summand = of_group(bias, group);
            return summand.defined() ? sum + summand.to(sum.dtype()) : sum;
        }
        return dequantized_product(
            a, b, {token_scale, factor, {}, of_group(offset, group), of_group(bias, group), 0});
    }

    Tensor real_product(const Tensor& left, const Tensor& right, std::size_t group) const {
        const Tensor factor = of_group(antiquant_scale, group);
        const Tensor values =
            factor.defined()
                ? dequantized_weight(right, factor, of_group(antiquant_offset, group), 0)
                : real_values(right);
        const Tensor found = aten("matmul", left.to_float(), values);
        const Tensor summand = of_group(bias, group);
        return summand.defined() ? found + summand.to_float() : found;
    }

    Tensor activated(const Tensor& y) const {
        switch (activation) {
            case 0:
                return y;
            case 1:
                return aten("relu", y);
            case 2:
                return aten("gelu", y, "tanh");
            case 4:
                return y * aten("sigmoid", y * 1.702);
            case 5:
                return aten("silu", y);
            default:
                refuse("actType must be 0, 1, 2, 4 or 5, got " + std::to_string(activation));
        }
    }

    /// The rows of one tensor, each group with its weights.
    void by_rows(const Groups& groups, const Outs& y) const {
        const Tensor& tokens = x.front();
        const Tensor scales = per_token_scale.empty() ? Tensor() : per_token_scale.front();
        TensorList parts;
        for (const Group& group : groups) {
            const Tensor token_scale =
                scales.defined() ? rows(scales, group.begin, group.end) : Tensor();
            parts.push_back(activated(product(rows(tokens, group.begin, group.end),
                                              static_cast<std::size_t>(group.index), token_scale)));
        }
        if (y.tensors.size() == 1) {
            const Out whole{y.tensors.front(), WrongShape::unknown_parameter};
            store_product(first_rows(whole, rows_in(groups)), aten("cat", parts, 0));
            return;
        }
        require(y.tensors.size() == parts.size(), "y must have one tensor, or one per group, got " +
                                                      std::to_string(y.tensors.size()));
        for (std::size_t i = 0; i < parts.size(); ++i) {
            store_product({y.tensors[i], WrongShape::unknown_parameter}, parts[i]);
        }
    }

    /// One tensor per group.
    void by_tensors(const Outs& y) const {
        require(x.size() == weight.size() || weight.front().dim() == 3,
                "weight must have as many tensors as x, " + std::to_string(x.size()) + ", got " +
                    std::to_string(weight.size()));
        TensorList parts;
        for (std::size_t i = 0; i < x.size(); ++i) {
            parts.push_back(activated(product(x[i], i, {})));
        }
        if (y.tensors.size() == 1 && parts.size() > 1) {
            store_product({y.tensors.front(), WrongShape::unknown_parameter},
                          aten("cat", parts, 0));
            return;
        }
        for (std::size_t i = 0; i < parts.size(); ++i) {
            store_product({y.tensors.at(i), WrongShape::unknown_parameter}, parts[i]);
        }
    }

    /// The groups divide the dimension that the products sum over.
    void by_columns(const Groups& groups, const Outs& y) const {
        const Tensor left = x.front().to_float();
        const Tensor right = weight.front().to_float();
        TensorList parts;
        for (const Group& group : groups) {
            parts.push_back(aten("matmul", aten("slice.Tensor", left, 1, group.begin, group.end),
                                 rows(right, group.begin, group.end)));
        }
        if (y.tensors.size() == 1) {
            assign(y.tensors.front(), aten("stack", parts, 0));
            return;
        }
        for (std::size_t i = 0; i < parts.size(); ++i) {
            assign(y.tensors.at(i), parts[i]);
        }
    }

    static bool is_given(const TensorList& list) {
        return !list.empty() && list.front().defined() && list.front().numel() != 0;
    }

    static void require_null(const TensorList& list, const char* name, const char* operand,
                             DType dtype) {
        require(!is_given(list),
                std::string(name) + " must be null if " + operand + " is " + name_of(dtype));
    }

    void check_factors() const {
        require(!x.empty() && !weight.empty(), "x and weight must have at least one tensor");
        const DType left = x.front().dtype();
        const DType right = weight.front().dtype();
        if (!is_integer()) {
            require_null(scale, "scale", "x", left);
            require_null(offset, "offset", "x", left);
            require_null(per_token_scale, "perTokenScale", "x", left);
        }
        if (is_integer() || left == right) {
            require_null(antiquant_scale, "antiquantScale", "weight", right);
            require_null(antiquant_offset, "antiquantOffset", "weight", right);
        } else {
            require(is_given(antiquant_scale),
                    "antiquantScale must be given if weight is " + std::string(name_of(right)));
        }
        if (left == DType::int8 && right != DType::int8) {
            require(is_given(bias) && is_given(scale),
                    "bias and scale must be given for int8 by int4");
            if (is_given(offset)) {
                not_emulated("offset for int8 by int4");
            }
        }
    }

    void run(const Tensor& group_list, Int group_type, Int list_type, const Outs& y) const {
        check_factors();
        if (group_type != -1 && group_type != 0 && group_type != 2) {
            not_emulated("groupType " + std::to_string(group_type));
        }
        if (group_type == -1 || x.size() > 1) {
            by_tensors(y);
            return;
        }
        require(group_list.defined(), "groupList must be given if x is one tensor");
        if (group_type == 2) {
            if (is_given(bias) || is_given(antiquant_scale)) {
                not_emulated("bias or antiquantScale with groupType 2");
            }
            if (is_integer() || weight.size() != 1) {
                not_emulated("groupType 2 with integers or several weights");
            }
            by_columns(groups_of(group_list, list_type, x.front().size(1)), y);
            return;
        }
        const Groups groups = groups_of(group_list, list_type, x.front().size(0));
        const auto weights = weight.size() == 1 && weight.front().dim() == 3
                                 ? weight.front().size(0)
                                 : static_cast<Int>(weight.size());
        if (static_cast<Int>(groups.size()) > weights) {
            refuse("weight must be [groups, K, N], or a tensor per group: groupList has " +
                   std::to_string(groups.size()) + " groups and weight " + std::to_string(weights));
        }
        by_rows(groups, y);
    }
};

/// The first versions take the ends of the groups on the host.
void run_with_ends(const GroupedMatmul& matmul, const OptionalInts& ends, Int group_type,
                   const Outs& y) {
    if (!ends.values || ends.values->empty()) {
        matmul.run({}, group_type, 0, y);
        return;
    }
    IntList values = *ends.values;
    const Tensor list =
        tensor_at(values.data(), {static_cast<Int>(values.size())}, {1}, DType::int64);
    matmul.run(list, group_type, 0, y);
}

}  // namespace

#define QUANTIZED_LISTS                                                                   \
    Optional<Tensors> scale, Optional<Tensors> offset, Optional<Tensors> antiquant_scale, \
        Optional<Tensors> antiquant_offset
#define ACTIVATION_LISTS                                                       \
    REFUSED(Tensors, activationInput), REFUSED(Tensors, activationQuantScale), \
        REFUSED(Tensors, activationQuantOffset)
#define MORE_OUTPUTS REFUSED(Outs, activationFeatureOut), REFUSED(Outs, dynQuantScaleOut)
#define OPERANDS x, weight, bias, scale, offset, antiquant_scale, antiquant_offset

// splitItem tells whether y is one tensor or several, as its list does; tuningConfig is a hint, and
// quantGroupSize follows from the shape of scale.
ACLNN_CHECKED(aclnnGroupedMatmul, Tensors x, Tensors weight, Optional<Tensors> bias,
              QUANTIZED_LISTS, OptionalInts groupList, Unused<Int>, Outs y) {
    const bool is_split = groupList.values && !groupList.values->empty();
    run_with_ends({OPERANDS, {}}, groupList, is_split ? 0 : -1, y);
}
ACLNN_CHECKED(aclnnGroupedMatmulV2, Tensors x, Tensors weight, Optional<Tensors> bias,
              QUANTIZED_LISTS, OptionalInts groupList, Unused<Int>, Int group_type, Outs y) {
    run_with_ends({OPERANDS, {}}, groupList, group_type, y);
}
ACLNN_CHECKED(aclnnGroupedMatmulV3, Tensors x, Tensors weight, Optional<Tensors> bias,
              QUANTIZED_LISTS, Optional<Tensor> groupList, Unused<Int>, Int group_type, Outs y) {
    GroupedMatmul{OPERANDS, {}}.run(groupList, group_type, 0, y);
}
ACLNN_CHECKED(aclnnGroupedMatmulV4, Tensors x, Tensors weight, Optional<Tensors> bias,
              QUANTIZED_LISTS, Optional<Tensors> per_token_scale, Optional<Tensor> groupList,
              ACTIVATION_LISTS, Unused<Int>, Int group_type, Int list_type, Int act_type, Outs y,
              MORE_OUTPUTS) {
    GroupedMatmul{OPERANDS, per_token_scale, act_type}.run(groupList, group_type, list_type, y);
}
ACLNN_CHECKED(aclnnGroupedMatmulV5, Tensors x, Tensors weight, Optional<Tensors> bias,
              QUANTIZED_LISTS, Optional<Tensors> per_token_scale, Optional<Tensor> groupList,
              ACTIVATION_LISTS, Unused<Int>, Int group_type, Int list_type, Int act_type,
              Unused<Ints>, Outs y, MORE_OUTPUTS) {
    GroupedMatmul{OPERANDS, per_token_scale, act_type}.run(groupList, group_type, list_type, y);
}
ACLNN_CHECKED(aclnnGroupedMatmulWeightNz, Tensors x, Tensors weight, Optional<Tensors> bias,
              QUANTIZED_LISTS, Optional<Tensors> per_token_scale, Optional<Tensor> groupList,
              ACTIVATION_LISTS, Unused<Int>, Int group_type, Int list_type, Int act_type,
              Unused<Ints>, Unused<Int>, Outs y, MORE_OUTPUTS) {
    GroupedMatmul{OPERANDS, per_token_scale, act_type}.run(groupList, group_type, list_type, y);
}
