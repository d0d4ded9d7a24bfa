#include <npu_cpp_extension.h>  // EXEC_NPU_CMD_EXT; includes Python.h, so it comes first
#include <torch/library.h>

namespace {

at::Tensor scaled_add(const at::Tensor& self, const at::Tensor& other, const at::Scalar& alpha) {
    TORCH_CHECK(self.sizes() == other.sizes(), "self and other must have the same shape, got ",
                self.sizes(), " and ", other.sizes());
    const c10::OptionalDeviceGuard guard(at::device_of(self));
    at::Tensor result = at::empty_like(self);
    EXEC_NPU_CMD_EXT(aclnnAdd, self, other, alpha, result);
    return result;
}

}  // namespace

TORCH_LIBRARY(example_scaled_add, library) {
    library.def("scaled_add(Tensor self, Tensor other, Scalar alpha=1) -> Tensor");
}

TORCH_LIBRARY_IMPL(example_scaled_add, PrivateUse1, library) {
    library.impl("scaled_add", &scaled_add);
}
