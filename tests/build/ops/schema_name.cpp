#include <string>
// Only includes come before this one, so the precompiled header can be used.
#include <torch/extension.h>

// The class is one that torch._C binds.
PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
    module.def("name", [](const c10::FunctionSchema& schema) { return schema.name(); });
}
