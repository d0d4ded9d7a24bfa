// What instructions cost in the model of a kernel's time, in cycles of the core. The costs are
// documented peaks and assumptions. No kernel's time on a device follows from them.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "ascendc/core.h"

namespace aicore {

/// What an instruction moves bytes from or to: a Space, or global memory.
constexpr int global_place = space_count;
constexpr int place_count = space_count + 1;

/// What the cost of an instruction depends on.
struct Work {
    const char* name = "";
    Pipe pipe = Pipe::s;
    std::array<std::uint64_t, place_count> read{};     // bytes
    std::array<std::uint64_t, place_count> written{};  // bytes
    std::uint64_t padding = 0;       // bytes that global memory moves in vain, in blocks of 32
    std::uint64_t largest = 0;       // bytes of the largest access
    std::uint32_t accesses = 0;      // to memory of the core
    std::uint64_t steps = 0;         // repeats, or cycles of the cube unit; 0: as the bytes tell
    bool reuses_cache_line = false;  // scalar code, in the line that it accessed before
};

/// How long the instruction keeps its pipe.
std::uint64_t cycles_of(const Work& work);

/// How often a library function goes over its operands; 1 for an instruction.
std::uint32_t passes_of(const char* name);

/// The cycles in which the cube unit multiplies m x k by k x n elements of `bytes` each.
std::uint64_t cube_cycles(std::uint64_t m, std::uint64_t n, std::uint64_t k, std::uint64_t bytes);

/// The clock of the emulated SoC.
std::uint32_t cycles_per_microsecond();

/// How long scalar code needs to issue an instruction to another pipe.
std::uint64_t issue_cycles();

/// How long SyncAll takes after the last core has come.
std::uint64_t sync_all_cycles();

/// The costs of the emulated SoC as members of a JSON object.
std::string costs_as_json();

}  // namespace aicore
