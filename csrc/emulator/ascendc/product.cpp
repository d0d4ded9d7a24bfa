#include "ascendc/product.h"

#include <cstddef>

namespace aicore {
namespace {

// Rows of b are read one after another, so that the compiler vectorizes over them.
template <class Number>
void add(const Number* a, const Number* b, Number* c, std::uint32_t m, std::uint32_t n,
         std::uint32_t k) {
    for (std::uint32_t row = 0; row < m; ++row) {
        Number* const to = c + static_cast<std::size_t>(row) * n;
        for (std::uint32_t step = 0; step < k; ++step) {
            const Number factor = a[static_cast<std::size_t>(row) * k + step];
            const Number* const from = b + static_cast<std::size_t>(step) * n;
            for (std::uint32_t column = 0; column < n; ++column) {
                to[column] += factor * from[column];
            }
        }
    }
}

}  // namespace

void add_product(const float* a, const float* b, float* c, std::uint32_t m, std::uint32_t n,
                 std::uint32_t k) {
    add(a, b, c, m, n, k);
}

void add_product(const std::int32_t* a, const std::int32_t* b, std::int32_t* c, std::uint32_t m,
                 std::uint32_t n, std::uint32_t k) {
    add(a, b, c, m, n, k);
}

}  // namespace aicore
