// A structure that kernels take by value.
#pragma once
#include <cstdint>

struct Size {
    std::uint32_t rows;
    std::uint32_t columns;
};
