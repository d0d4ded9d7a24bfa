// Says in words what a segmentation fault was, where it was a host access to device memory.
#pragma once

#include <cstddef>

namespace ascend_emulator {

/// From now on; whatever handled SIGSEGV before handles it after the words.
void report_host_accesses(const char* begin, std::size_t size);

}  // namespace ascend_emulator
