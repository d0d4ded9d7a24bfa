#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <cmath>
#include <cstdint>

namespace {

using torch::stable::Tensor;

constexpr std::int64_t grain_size = 4096;

Tensor swiglu(const Tensor& gate, const Tensor& up) {
    constexpr auto float32 = torch::headeronly::ScalarType::Float;
    STD_TORCH_CHECK(gate.scalar_type() == float32 && up.scalar_type() == float32,
                    "gate and up must have dtype float32, got ",
                    torch::headeronly::toString(gate.scalar_type()), " and ",
                    torch::headeronly::toString(up.scalar_type()));
    STD_TORCH_CHECK(gate.sizes().equals(up.sizes()), "gate and up must have the same shape");
    const Tensor gates = torch::stable::contiguous(gate);
    const Tensor ups = torch::stable::contiguous(up);
    Tensor result = torch::stable::empty_like(gates);
    const auto* g = static_cast<const float*>(gates.const_data_ptr());
    const auto* u = static_cast<const float*>(ups.const_data_ptr());
    auto* out = static_cast<float*>(result.mutable_data_ptr());
    torch::stable::parallel_for(0, result.numel(), grain_size,
                                [&](std::int64_t begin, std::int64_t end) {
                                    for (std::int64_t i = begin; i < end; ++i) {
                                        out[i] = g[i] / (1.0F + std::exp(-g[i])) * u[i];
                                    }
                                });
    return result;
}

}  // namespace

STABLE_TORCH_LIBRARY(example_swiglu, library) {
    library.def("swiglu(Tensor gate, Tensor up) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(example_swiglu, CPU, library) {
    library.impl("swiglu", TORCH_BOX(&swiglu));
}
