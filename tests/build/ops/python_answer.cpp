#include <c10/util/Exception.h>
#include <pybind11/pybind11.h>

namespace {

int answer() {
    c10::WarningUtils::set_warnAlways(c10::WarningUtils::get_warnAlways());  // lives in libc10.so
    return 42;
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) { module.def("answer", &answer); }
