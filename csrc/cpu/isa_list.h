// The instruction sets that host kernels are compiled for: the only list, from which all C++ is
// derived.
//
// X(name, lower): `lower` is what to fall back to if the library's compiler does not know `name`,
// and comes before `name`. Within one architecture, later entries are faster.
//
// To add an instruction set:
//   csrc/cpu/isa_list.h                    its line below
//   csrc/cpu/isa.cpp                       cpu_supports(): how to detect it
//   csrc/cpu/simd/<name>.h                 its Vec; scalar.h describes the interface
//   csrc/cpu/optimizer/kernels_<name>.cpp  its kernels, empty if compiled without its flags
//   op_builder/ops/cpu_optimizer.py        VARIANTS: its machine and its compiler flags
// tests/unit/test_isas.py fails if one of them is missing; tests/native runs all kernels on it.
#pragma once

#define ASCEND_OPS_ISAS(X)                                                   \
    X(scalar, scalar)                                                        \
    X(avx2, scalar)        /* AVX2, FMA and F16C */                          \
    X(avx512, avx2)        /* avx2 and AVX-512 F, BW, DQ and VL */           \
    X(avx512_bf16, avx512) /* avx512 and AVX512_BF16 */                      \
    X(neon, scalar)        /* the aarch64 baseline */                        \
    X(sve, neon)           /* SVE, if its vectors are a power of two long */ \
    X(rvv, scalar)         /* version 1.0 of RISC-V's vector extension */
