"""What the builders of the host's optimizers share: one engine, a formula and a binding each."""

from __future__ import annotations

import platform
from typing import ClassVar

from ..cpu import CPUOpBuilder
from .own_op import OwnOp

# Only a variant's own file may use its instructions. A variant whose flags are not here, because
# it is of another CPU, compiles to an empty table.
_AVX2 = ["-mavx2", "-mfma", "-mf16c"]
_AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c"]
_ISA_FLAGS: dict[str, dict[str, list[str]]] = {
    "x86_64": {"avx2": _AVX2, "avx512": _AVX512, "avx512_bf16": _AVX512},
    # GCC 12.2 has an internal error when it vectorizes a reduction for SVE itself.
    "aarch64": {"sve": ["-march=armv8.2-a+sve", "-fno-tree-vectorize"]},
    "riscv64": {"rvv": ["-march=rv64gcv"]},
}


class CPUOptimizerBuilder(OwnOp, CPUOpBuilder):
    """One library with a variant for each instruction set, chosen at run time.

    ``OPTIMIZER`` is the folder of the formula and the binding.
    """

    OPTIMIZER: ClassVar[str]
    ISAS: ClassVar[tuple[str, ...]] = (
        *("scalar", "avx2", "avx512", "avx512_bf16", "neon", "sve", "rvv"),
    )

    def sources(self) -> list[str]:
        """The binding first, as it takes longest; variants of other CPUs compile to nothing."""
        name = self.OPTIMIZER
        kernels = [f"cpu/optimizer/kernels_{isa}.cpp" for isa in self.ISAS]
        return [
            f"cpu/{name}/{name}_binding.cpp",
            *kernels,
            f"cpu/{name}/{name}.cpp",
            "cpu/optimizer/optimizer.cpp",
            "cpu/isa.cpp",
        ]

    def source_flags(self, machine: str | None = None) -> dict[str, list[str]]:
        """The binding checks arguments: optimizing it less saves a fifth of the whole build.

        ``machine`` is what to compile for, where that is not this one.
        """
        flags = {f"cpu/{self.OPTIMIZER}/{self.OPTIMIZER}_binding.cpp": ["-O1"]}
        for isa, isa_flags in _ISA_FLAGS.get(machine or platform.machine(), {}).items():
            flags[f"cpu/optimizer/kernels_{isa}.cpp"] = list(isa_flags)
        return flags

    def include_paths(self) -> list[str]:
        """This project's headers; the optimizer's folder has the ``formula.h`` of the kernels."""
        return [".", f"cpu/{self.OPTIMIZER}"]

    def cxx_args(self) -> list[str]:
        """No contraction: every instruction set rounds alike. -O3 gains the kernels nothing."""
        return ["-O2", "-ffp-contract=off", "-fno-math-errno"]
