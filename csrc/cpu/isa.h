// The instruction sets that host kernels come in, and the one in use.
#pragma once

#include <cstdint>

namespace ascend_ops {

/// Index of a table of kernels. x86: scalar < avx2 < avx512 < avx512_bf16; aarch64: scalar < neon <
/// sve; RISC-V: scalar < rvv.
///
/// avx2 means AVX2, FMA and F16C; avx512 means avx2 and AVX-512 F, BW, DQ and VL;
/// avx512_bf16 adds AVX512_BF16; rvv is version 1.0 of the vector extension.
enum class Isa : std::uint8_t { scalar, avx2, avx512, avx512_bf16, neon, sve, rvv };

constexpr int isa_count = 7;
constexpr Isa all_isas[isa_count] = {Isa::scalar, Isa::avx2, Isa::avx512, Isa::avx512_bf16,
                                     Isa::neon,   Isa::sve,  Isa::rvv};

/// "scalar", "avx2", "avx512", "avx512_bf16", "neon", "sve" or "rvv".
const char* isa_name(Isa isa);

/// All names, as an error says them.
const char* isa_names();

/// Reads a name that isa_name gives; false, and `isa` untouched, for any other text.
bool parse_isa(const char* name, Isa* isa);

/// The one to fall back to where a library has no kernels of `isa`; scalar for scalar.
Isa next_lower(Isa isa);

/// Whether this CPU has it and the operating system saves its registers.
bool cpu_supports(Isa isa);

/// The fastest that cpu_supports().
Isa best_isa();

/// What kernels use: best_isa(), unless set_current_isa() chose another.
Isa current_isa();

/// For tests and benchmarks; false, and nothing changed, if this CPU lacks it. Thread-safe.
bool set_current_isa(Isa isa);

}  // namespace ascend_ops
