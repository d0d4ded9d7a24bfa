// ffn and moe_gating_topk on aclnn. ascend_ops/moe/ checks the arguments.
#include "npu/moe/moe.h"

namespace ascend_ops {
namespace {

using aclnn::call;
using aclnn::make_empty;
using torch::headeronly::ScalarType;
using OptionalTensor = std::optional<Tensor>;
using OptionalInts = std::optional<std::vector<std::int64_t>>;

ACLNN_FUNCTION(ffn_function, "aclnnFFNV3", "aclnnFFNV2", "aclnnFFN")
ACLNN_FUNCTION(gating_function, "aclnnMoeGatingTopK")

constexpr std::int64_t high_precision = 0;
constexpr bool tokens_are_ends = false;

/// V3 takes the token counts as a tensor; V2 and the first version take them from the host.
Tensor ffn(const Tensor& x, const Tensor& weight1, const Tensor& weight2,
           const OptionalTensor& token_counts, const OptionalInts& host_token_counts,
           const OptionalTensor& bias1, const OptionalTensor& bias2,
           const std::string& activation) {
    std::vector<std::int64_t> sizes = aclnn::sizes_of(x);
    sizes.back() = weight2.size(weight2.dim() - 1);
    Tensor y = make_empty(x, sizes, x.scalar_type());
    const OptionalTensor none;
    const aclnn::Function& found = ffn_function();
    const auto run = [&](const auto& counts, const auto&... last) {
        call(found, x, x, weight1, weight2, counts, bias1, bias2, none, none, none, none, none,
             none, none, none, activation, high_precision, last...);
    };
    switch (found.version()) {
        case 0:
            run(token_counts, tokens_are_ends, y);
            break;
        case 1:
            run(host_token_counts, tokens_are_ends, y);
            break;
        default:
            run(host_token_counts, y);
    }
    return y;
}

std::tuple<Tensor, Tensor, Tensor> moe_gating_topk(const Tensor& x, const OptionalTensor& bias,
                                                   std::int64_t k, std::int64_t k_group,
                                                   std::int64_t group_count,
                                                   std::int64_t group_select_mode,
                                                   std::int64_t renorm, std::int64_t norm_type,
                                                   double routed_scaling_factor, double eps) {
    constexpr bool with_norm = true;
    Tensor weights = make_empty(x, {x.size(0), k}, x.scalar_type());
    Tensor experts = make_empty(x, {x.size(0), k}, ScalarType::Int);
    Tensor norm = make_empty(x, {x.size(0), x.size(1)}, ScalarType::Float);
    call(gating_function(), x, x, bias, k, k_group, group_count, group_select_mode, renorm,
         norm_type, with_norm, routed_scaling_factor, eps, weights, experts, norm);
    return {weights, experts, norm};
}

std::vector<aclnn::Kernel> kernels() {
    std::vector<aclnn::Kernel> found = grouped_matmul_kernels();
    found.push_back({"ffn", ffn_function, TORCH_BOX(&ffn)});
    found.push_back({"moe_gating_topk", gating_function, TORCH_BOX(&moe_gating_topk)});
    return found;
}

}  // namespace

ASCEND_OPS_FAMILY(moe, kernels)

}  // namespace ascend_ops
