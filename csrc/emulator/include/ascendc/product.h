// Products of matrices in host memory, for the Matmul objects of kernels.
#pragma once

#include <cstdint>

namespace aicore {

/// `c += a @ b` of dense matrices of m x k, k x n and m x n.
void add_product(const float* a, const float* b, float* c, std::uint32_t m, std::uint32_t n,
                 std::uint32_t k);
void add_product(const std::int32_t* a, const std::int32_t* b, std::int32_t* c, std::uint32_t m,
                 std::uint32_t n, std::uint32_t k);

}  // namespace aicore
