#include <torch/csrc/stable/library.h>

#include <cstdint>

namespace {

std::int64_t answer() { return 42; }

}  // namespace

STABLE_TORCH_LIBRARY(ascend_ops_test_stable_answer, library) { library.def("answer() -> int"); }

STABLE_TORCH_LIBRARY_IMPL(ascend_ops_test_stable_answer, CompositeExplicitAutograd, library) {
    library.impl("answer", TORCH_BOX(&answer));
}
