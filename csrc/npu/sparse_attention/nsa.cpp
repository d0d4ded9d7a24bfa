// Native sparse attention on aclnn. ascend_ops/sparse_attention/ checks the arguments.
#include "npu/call/call.h"
#include "npu/call/outputs.h"
#include "npu/call/registration.h"

namespace ascend_ops {
namespace {

using aclnn::call;
using aclnn::make_empty;
using aclnn::make_empty_like;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Ints = std::vector<std::int64_t>;
using OptionalTensor = std::optional<Tensor>;

ACLNN_FUNCTION(compress_function, "aclnnNsaCompress")
ACLNN_FUNCTION(compress_attention_function, "aclnnNsaCompressAttention")
ACLNN_FUNCTION(select_function, "aclnnNsaSelectedAttention")
ACLNN_FUNCTION(select_backward_function, "aclnnNsaSelectedAttentionGrad")

constexpr const char* layout = "TND";
constexpr std::int64_t ends_of_sequences = 0;
constexpr std::int64_t no_mask = 0;
constexpr std::int64_t whole_mask = 1;
constexpr std::int64_t statistics_columns = 8;

Tensor nsa_compress(const Tensor& x, const Tensor& weight, const Ints& ends, std::int64_t windows,
                    std::int64_t block_size, std::int64_t stride) {
    Tensor out = make_empty(x, {windows, x.size(1), x.size(2)}, x.scalar_type());
    call(compress_function(), x, x, weight, ends, layout, block_size, stride, ends_of_sequences,
         out);
    return out;
}

/// The output, and each row's largest score and sum of exponentials.
struct Outputs {
    Outputs(const Tensor& query, const Tensor& value)
        : max(make_empty(query, {query.size(0), query.size(1), statistics_columns},
                         ScalarType::Float)),
          sum(make_empty_like(max)),
          out(make_empty(query, {query.size(0), query.size(1), value.size(2)},
                         query.scalar_type())) {}
    Tensor max;
    Tensor sum;
    Tensor out;
};

std::tuple<Tensor, Tensor, Tensor, Tensor> nsa_compress_attention(
    const Tensor& query, const Tensor& key, const Tensor& value, const OptionalTensor& mask,
    const Ints& query_ends, const Ints& key_ends, const Ints& block_ends, double scale,
    std::int64_t compress_block_size, std::int64_t compress_stride, std::int64_t select_block_size,
    std::int64_t select_block_count) {
    const Outputs made(query, value);
    Tensor indices =
        make_empty(query, {query.size(0), key.size(1), select_block_count}, ScalarType::Int);
    const OptionalTensor none;
    call(compress_attention_function(), query, query, key, value, mask, none, query_ends, key_ends,
         block_ends, scale, query.size(1), layout, whole_mask, compress_block_size, compress_stride,
         select_block_size, select_block_count, made.max, made.sum, made.out, indices);
    return {made.out, indices, made.max, made.sum};
}

std::tuple<Tensor, Tensor, Tensor> nsa_select_attention(
    const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& topk_indices,
    const Ints& query_ends, const Ints& key_ends, double scale, std::int64_t select_block_size) {
    const Outputs made(query, value);
    const OptionalTensor none;
    call(select_function(), query, query, key, value, topk_indices, none, query_ends, key_ends,
         scale, query.size(1), layout, no_mask, select_block_size, topk_indices.size(2), made.max,
         made.sum, made.out);
    return {made.out, made.max, made.sum};
}

std::tuple<Tensor, Tensor, Tensor> nsa_select_attention_backward(
    const Tensor& grad, const Tensor& query, const Tensor& key, const Tensor& value,
    const Tensor& topk_indices, const Tensor& out, const Tensor& max, const Tensor& sum,
    const Ints& query_ends, const Ints& key_ends, double scale, std::int64_t select_block_size) {
    const Tensor dq = make_empty_like(query);
    const Tensor dk = make_empty_like(key);
    const Tensor dv = make_empty_like(value);
    const OptionalTensor none;
    call(select_backward_function(), query, query, key, value, out, grad, max, sum, topk_indices,
         query_ends, key_ends, none, scale, select_block_size, topk_indices.size(2), query.size(1),
         layout, no_mask, dq, dk, dv);
    return {dq, dk, dv};
}

std::vector<aclnn::Kernel> kernels() {
    return {
        {"nsa_compress", compress_function, TORCH_BOX(&nsa_compress)},
        {"nsa_compress_attention", compress_attention_function, TORCH_BOX(&nsa_compress_attention)},
        {"nsa_select_attention", select_function, TORCH_BOX(&nsa_select_attention)},
        {"nsa_select_attention_backward", select_backward_function,
         TORCH_BOX(&nsa_select_attention_backward)},
    };
}

}  // namespace

ASCEND_OPS_FAMILY(nsa, kernels)

}  // namespace ascend_ops
