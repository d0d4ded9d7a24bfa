// What kernels print: on standard output, as on a device.
#include <cstdarg>
#include <cstdio>

#include "ascendc/core.h"

namespace aicore {

void print(const char* format, ...) {
    static thread_local bool at_line_begin = true;
    if (at_line_begin && core != nullptr) {  // null: a host function that uses namespace AscendC
        std::printf("[emulated NPU, block %u] ", core->block);
    }
    va_list values;
    va_start(values, format);
    std::vprintf(format, values);
    va_end(values);
    const char* end = format;
    while (*end != '\0') {
        ++end;
    }
    at_line_begin = end != format && end[-1] == '\n';
    std::fflush(stdout);
}

}  // namespace aicore
