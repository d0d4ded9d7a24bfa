// DeepSpeed's Adam on another CPU, compiled from its headers to count its instructions.
//
// Arguments: the element type of all arrays, float32 or bfloat16, and the number of elements, at
// most `capacity`. The arrays always have `capacity` elements, so that filling them does not
// contribute to the difference of two counts.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cpu_adam.h"

namespace {

constexpr std::size_t capacity = 1 << 14;

template <class T>
void step(std::size_t count) {
    std::vector<std::vector<unsigned char>> arrays(
        4, std::vector<unsigned char>(capacity * sizeof(T), 0x3c));
    const auto at = [&](std::size_t i) { return reinterpret_cast<T*>(arrays[i].data()); };
    Adam_Optimizer optimizer(1e-3F, 0.9F, 0.999F, 1e-8F, 0.01F);
    optimizer.IncrementStep(1, 0.9F, 0.999F);
    optimizer.update_state(1e-3F, 1e-8F, 0.01F, true);
    std::size_t done = 0;
#if defined(__NEON__)
    optimizer.Step_AVX<8>(&done, at(0), at(1), at(2), at(3), count, false);
#else
    optimizer.Step_SVE<8>(&done, at(0), at(1), at(2), at(3), count, false);
#endif
    if (done != count) {
        std::exit(1);  // the library lacks the kernel
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        return 2;
    }
    const auto count = static_cast<std::size_t>(std::atol(argv[2]));
    if (std::strcmp(argv[1], "float32") == 0) {
        step<float>(count);
    } else {
        step<c10::BFloat16>(count);
    }
    return 0;
}
