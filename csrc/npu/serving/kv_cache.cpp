// kv_cache_scatter and kv_cache_gather on aclnn. ascend_ops/serving/ checks the arguments.
#include "npu/call/call.h"
#include "npu/call/outputs.h"
#include "npu/call/registration.h"

namespace ascend_ops {
namespace {

using aclnn::call;
using aclnn::make_empty;
using torch::stable::Tensor;

constexpr const char* cache_mode = "Norm";  // [blocks, block size, heads, head size]

ACLNN_FUNCTION(scatter_function, "aclnnScatterPaKvCache")
ACLNN_FUNCTION(gather_function, "aclnnGatherPaKvCache")

void kv_cache_scatter(const Tensor& key, const Tensor& value, const Tensor& key_cache,
                      const Tensor& value_cache, const Tensor& slot_mapping) {
    if (key.size(0) == 0) {
        return;
    }
    const std::optional<Tensor> none;
    // Only another scatter mode uses strides and offsets; torch_npu passes the same values.
    const std::vector<std::int64_t> strides = {1, 1};
    const std::vector<std::int64_t> offsets = {0, 0};
    call(scatter_function(), key, key, key_cache, slot_mapping, value, value_cache, none, none,
         none, cache_mode, "None", strides, offsets);
}

Tensor make_tokens(const Tensor& cache, std::int64_t num_tokens) {
    return make_empty(cache, {num_tokens, cache.size(2), cache.size(3)}, cache.scalar_type());
}

std::tuple<Tensor, Tensor> kv_cache_gather(const Tensor& key_cache, const Tensor& value_cache,
                                           const Tensor& block_table, const Tensor& seq_lens,
                                           std::int64_t num_tokens) {
    Tensor key = make_tokens(key_cache, num_tokens);
    Tensor value = make_tokens(value_cache, num_tokens);
    if (num_tokens != 0) {
        const std::optional<Tensor> no_offset;
        call(gather_function(), key, key_cache, value_cache, block_table, seq_lens, key, value,
             no_offset, cache_mode, false);
    }
    return {key, value};
}

std::vector<aclnn::Kernel> kernels() {
    return {
        {"kv_cache_scatter", scatter_function, TORCH_BOX(&kv_cache_scatter)},
        {"kv_cache_gather", gather_function, TORCH_BOX(&kv_cache_gather)},
    };
}

}  // namespace

ASCEND_OPS_FAMILY(kv_cache, kernels)

}  // namespace ascend_ops
