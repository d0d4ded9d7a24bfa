// A host program that calls a library of kernels.
#include "vectors.h"

extern "C" void add(uint32_t blocks, void* stream, uint8_t* x, uint8_t* y, uint8_t* z,
                    uint32_t count);

int main() {
    const Vectors vectors;
    add(4, vectors.stream, static_cast<uint8_t*>(vectors.x), static_cast<uint8_t*>(vectors.y),
        static_cast<uint8_t*>(vectors.z), Vectors::count);
    return vectors.report("two languages");
}
