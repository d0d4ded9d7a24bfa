#include "npu/call/outputs.h"

#include <torch/csrc/stable/stableivalue_conversions.h>

#include <array>
#include <mutex>

#include "npu/call/torch_npu.h"

namespace ascend_ops::aclnn {
namespace {

constexpr std::size_t max_devices = 64;
constexpr std::size_t max_dtypes = 64;

std::int32_t dtype_code_of(torch::headeronly::ScalarType dtype) {
    return torch::stable::detail::to<std::int32_t>(torch::stable::detail::from(dtype));
}

/// Make an empty tensor on the device of `like` through torch's stable ABI.
AtenTensorHandle make_prototype(const Tensor& like, std::int32_t dtype_code) {
    std::int32_t device_type = 0;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(like.get(), &device_type));
    const std::int64_t size = 0;
    const std::int64_t stride = 1;
    AtenTensorHandle made = nullptr;
    TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(1, &size, &stride, dtype_code, device_type,
                                                    like.get_device_index(), &made));
    return made;
}

/// Return a tensor that carries a device and a dtype to torch_npu. There is one per device and
/// dtype, never destroyed, since torch_npu may be unloaded before this library.
AtenTensorHandle prototype(const Tensor& like, torch::headeronly::ScalarType dtype) {
    static std::array<std::array<AtenTensorHandle, max_dtypes>, max_devices> prototypes{};
    static std::mutex guard;
    const auto device = static_cast<std::size_t>(like.get_device_index());
    const std::int32_t code = dtype_code_of(dtype);
    const std::lock_guard<std::mutex> lock(guard);
    AtenTensorHandle& found = prototypes.at(device).at(static_cast<std::size_t>(code));
    if (found == nullptr) {
        found = make_prototype(like, code);
    }
    return found;
}

}  // namespace

// torch::stable::new_empty would look up an operator by name on every call, and
// aoti_torch_empty_strided goes through torch's dispatcher, which takes twice as long.
Tensor make_empty(const Tensor& like, const std::vector<std::int64_t>& sizes,
                  torch::headeronly::ScalarType dtype) {
    void* const made = torch_npu().new_tensor(prototype(like, dtype), sizes.data(), sizes.size());
    return Tensor(static_cast<AtenTensorHandle>(made));
}

Tensor make_empty_like(const Tensor& like) {
    return make_empty(like, sizes_of(like), like.scalar_type());
}

}  // namespace ascend_ops::aclnn
