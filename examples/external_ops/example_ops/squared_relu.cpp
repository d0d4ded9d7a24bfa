#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>

namespace {

constexpr std::int64_t grain_size = 32768;

at::Tensor squared_relu(const at::Tensor& x) {
    TORCH_CHECK(x.scalar_type() == at::kFloat, "x must have dtype float32, got ", x.dtype());
    const at::Tensor input = x.contiguous();
    at::Tensor result = at::empty_like(input);
    const float* in = input.const_data_ptr<float>();
    float* out = result.mutable_data_ptr<float>();
    at::parallel_for(0, input.numel(), grain_size, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            const float positive = std::max(in[i], 0.0F);
            out[i] = positive * positive;
        }
    });
    return result;
}

}  // namespace

TORCH_LIBRARY(example_squared_relu, library) { library.def("squared_relu(Tensor x) -> Tensor"); }

TORCH_LIBRARY_IMPL(example_squared_relu, CPU, library) {
    library.impl("squared_relu", &squared_relu);
}
