#include <torch/extension.h>

namespace {

at::Tensor twice(const at::Tensor& x) { return x + x; }

}  // namespace

TORCH_LIBRARY(ascend_ops_test_twice, library) { library.def("twice(Tensor x) -> Tensor"); }

TORCH_LIBRARY_IMPL(ascend_ops_test_twice, CPU, library) { library.impl("twice", &twice); }
