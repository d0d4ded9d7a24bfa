// Reports segmentation faults that are host accesses to device memory.
#pragma once

#include <cstddef>

namespace ascend_emulator {

/// Report them from now on. The previous handler of SIGSEGV runs after the report.
void report_host_accesses(const char* begin, std::size_t size);

}  // namespace ascend_emulator
