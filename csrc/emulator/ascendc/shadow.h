// What is remembered about each 32 bytes of on-chip memory.
#pragma once

#include "ascendc/core.h"

namespace aicore {

/// The bytes that one Shadow describes.
constexpr std::uint32_t granule = 32;

struct Core::Shadow {
    std::uint32_t run;  // of another run: never accessed
    bool written;
    std::uint8_t write_pipe;
    std::uint32_t write_number;  // 0: initialised before the run
    std::uint32_t write_site;
    std::uint32_t read_number[pipe_count];
    std::uint32_t read_site[pipe_count];
};

using Shadow = Core::Shadow;

std::uint32_t total_bytes();
Space space_of(std::uint32_t address);
const char* name_of(Space space);
const char* name_of(Pipe pipe);

}  // namespace aicore
