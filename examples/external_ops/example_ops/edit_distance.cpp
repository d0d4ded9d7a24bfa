#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

namespace {

using Words = std::vector<std::string>;

std::size_t edit_distance(const Words& reference, const Words& hypothesis) {
    std::vector<std::size_t> row(hypothesis.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < reference.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < hypothesis.size(); ++j) {
            const std::size_t replaced = diagonal + (reference[i] == hypothesis[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

}  // namespace

// TORCH_EXTENSION_NAME is the builder's NAME, since Python looks for PyInit_<NAME>.
PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
    module.def("edit_distance", &edit_distance, pybind11::arg("reference"),
               pybind11::arg("hypothesis"), pybind11::call_guard<pybind11::gil_scoped_release>());
}
