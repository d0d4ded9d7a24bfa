// The instruction sets of host kernels, and the one in use.
#pragma once

#include <cstdint>

#include "cpu/isa_list.h"

namespace ascend_ops {

/// The index of a kernel table.
enum class Isa : std::uint8_t {
#define ASCEND_OPS_ISA(name, lower) name,
    ASCEND_OPS_ISAS(ASCEND_OPS_ISA)
#undef ASCEND_OPS_ISA
};

constexpr Isa all_isas[] = {
#define ASCEND_OPS_ISA(name, lower) Isa::name,
    ASCEND_OPS_ISAS(ASCEND_OPS_ISA)
#undef ASCEND_OPS_ISA
};

/// Returns the name of an instruction set, such as "avx2".
const char* isa_name(Isa isa);

/// Returns all names, separated by commas.
const char* isa_names();

/// Reads a name that isa_name() returns. Any other text returns false and leaves `isa` unchanged.
bool parse_isa(const char* name, Isa* isa);

/// Returns the instruction set to fall back to if a library has no kernels for `isa`.
Isa next_lower(Isa isa);

/// Returns whether this CPU has the instructions and the operating system saves their registers.
bool cpu_supports(Isa isa);

/// Returns the fastest instruction set that cpu_supports().
Isa best_isa();

/// Returns the instruction set that kernels use: best_isa(), or what set_current_isa() chose.
Isa current_isa();

/// Chooses an instruction set, for tests and benchmarks. Returns false and changes nothing if this
/// CPU lacks it. Thread-safe.
bool set_current_isa(Isa isa);

}  // namespace ascend_ops
