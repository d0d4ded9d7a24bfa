"""Base of the builders of the CPU optimizers, which share one engine and differ in the formula."""

from __future__ import annotations

from typing import ClassVar

from ..cpu import CPUOpBuilder
from ..lazy_dataclass import dataclass
from .own_op import OwnOp


@dataclass(frozen=True)
class Variant:
    """The kernels of one instruction set, which are compiled from a file of their own.

    Only that file may use its instructions, so the flags are its alone. On a machine other than
    ``machine`` (None: any machine) they are left out, and the file compiles to an empty table.
    """

    machine: str | None = None
    flags: tuple[str, ...] = ()


_AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c")
#: By instruction set, in the order of ``csrc/cpu/isa_list.h``, which explains how to add one.
VARIANTS = {
    "scalar": Variant(),
    "avx2": Variant("x86_64", ("-mavx2", "-mfma", "-mf16c")),
    "avx512": Variant("x86_64", _AVX512),
    # GCC 9 does not know -mavx512bf16: the file enables it itself if the compiler has it.
    "avx512_bf16": Variant("x86_64", _AVX512),
    "neon": Variant("aarch64"),
    # GCC 12.2 fails with an internal error if it vectorizes a reduction for SVE itself.
    "sve": Variant("aarch64", ("-march=armv8.2-a+sve", "-fno-tree-vectorize")),
    "rvv": Variant("riscv64", ("-march=rv64gcv",)),
}


class CPUOptimizerBuilder(OwnOp, CPUOpBuilder):
    """One library with kernels for each instruction set, chosen at run time.

    ``OPTIMIZER`` names the folder of the formula and the binding.
    """

    OPTIMIZER: ClassVar[str]

    def sources(self) -> list[str]:
        """Return the binding first, which takes longest to compile, then the kernels."""
        name = self.OPTIMIZER
        return [
            f"cpu/{name}/{name}_binding.cpp",
            *(f"cpu/optimizer/kernels_{isa}.cpp" for isa in VARIANTS),
            f"cpu/{name}/{name}.cpp",
            "cpu/optimizer/optimizer.cpp",
            "cpu/isa.cpp",
        ]

    def source_flags(self, machine: str | None = None) -> dict[str, list[str]]:
        """Return the flags of single files, for ``machine`` or else for the builder's machine.

        The binding only checks arguments: -O1 saves a fifth of the time of the whole build.
        """
        machine = machine or self.machine
        flags = {f"cpu/{self.OPTIMIZER}/{self.OPTIMIZER}_binding.cpp": ["-O1"]}
        for isa, variant in VARIANTS.items():
            if variant.machine == machine and variant.flags:
                flags[f"cpu/optimizer/kernels_{isa}.cpp"] = list(variant.flags)
        return flags

    def include_paths(self) -> list[str]:
        """Return ``csrc`` and the optimizer's folder, where the kernels find ``formula.h``."""
        return [".", f"cpu/{self.OPTIMIZER}"]

    def cxx_args(self) -> list[str]:
        """Forbid contraction, so that every instruction set rounds alike.

        -O3 does not make the kernels faster than -O2.
        """
        return ["-O2", "-ffp-contract=off", "-fno-math-errno"]
