// What DeepSpeed's headers of CPU optimizers need of torch in order to compile, for counting their
// instructions on another CPU: two types of 16 bits, and names that declarations mention.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace c10 {

struct BFloat16 {
    std::uint16_t x;
};

struct Half {
    std::uint16_t x;
};

}  // namespace c10

namespace torch {

class Tensor;

}  // namespace torch
