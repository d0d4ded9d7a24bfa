#include "aclnn/outputs.h"

#include <torch/csrc/stable/stableivalue_conversions.h>

namespace ascend_ops::aclnn {

// Not torch::stable::new_empty: that looks an operator up by its name on every call.
Tensor make_empty(const Tensor& like, const std::vector<std::int64_t>& sizes,
                  torch::headeronly::ScalarType dtype) {
    std::vector<std::int64_t> strides(sizes.size());
    std::int64_t stride = 1;
    for (std::size_t i = sizes.size(); i-- > 0;) {
        strides[i] = stride;
        stride *= sizes[i] > 1 ? sizes[i] : 1;
    }
    std::int32_t device_type = 0;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(like.get(), &device_type));
    const auto dtype_code =
        torch::stable::detail::to<std::int32_t>(torch::stable::detail::from(dtype));
    AtenTensorHandle made = nullptr;
    TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(static_cast<std::int64_t>(sizes.size()),
                                                    sizes.data(), strides.data(), dtype_code,
                                                    device_type, like.get_device_index(), &made));
    return Tensor(made);
}

Tensor make_empty_like(const Tensor& like) {
    return make_empty(like, sizes_of(like), like.scalar_type());
}

}  // namespace ascend_ops::aclnn
