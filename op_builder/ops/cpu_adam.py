"""Builder of the CPU Adam and AdamW of ZeRO-Offload."""

from __future__ import annotations

import platform

from ..cpu import CPUOpBuilder
from ..own_op import OwnOp


class CPUAdamBuilder(OwnOp, CPUOpBuilder):
    """``cpu_adam``: one library with a variant for each instruction set, chosen at run time."""

    BUILD_VAR = "DS_BUILD_CPU_ADAM"
    NAME = "cpu_adam"
    NAMESPACE = "ascend_ops_cpu_adam"

    def sources(self) -> list[str]:
        """The binding, the dispatch, and every variant; those of other CPUs compile to nothing."""
        kernels = [f"adam/adam_{name}.cpp" for name in ("scalar", "avx2", "avx512", "neon")]
        return ["adam/adam_binding.cpp", "adam/adam.cpp", "cpu/isa.cpp", *kernels]

    def source_flags(self) -> dict[str, list[str]]:
        """Only a variant's own file may use its instructions.

        The binding checks arguments: optimizing it less saves a fifth of the whole build.
        """
        binding = {"adam/adam_binding.cpp": ["-O1"]}
        if platform.machine() != "x86_64":
            return binding
        return {
            **binding,
            "adam/adam_avx2.cpp": ["-mavx2", "-mfma", "-mf16c"],
            "adam/adam_avx512.cpp": [
                *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c"),
            ],
        }

    def include_paths(self) -> list[str]:
        """This project's headers."""
        return ["include", "."]

    def cxx_args(self) -> list[str]:
        """No contraction: every instruction set rounds alike. -O3 gains the kernels nothing."""
        return ["-O2", "-ffp-contract=off", "-fno-math-errno"]
