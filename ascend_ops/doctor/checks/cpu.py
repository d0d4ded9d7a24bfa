"""The CPU's instruction sets, which decide how fast the CPU optimizers are."""

from __future__ import annotations

import re

from op_builder.toolchain.cpu_info import parse_features

from ..finding import Examination
from ..survey import Survey

_SUPPORTED = ("x86_64", "aarch64", "riscv64")
#: The features that kernels have variants for, best first.
_VARIANTS = {
    "x86_64": ("avx512f", "avx512_bf16", "avx2", "fma", "f16c"),
    "aarch64": ("sve", "bf16", "asimdhp", "asimd"),
}
_FIRST_BLOCK = 16384


def examine(survey: Survey) -> Examination:
    """Check the architecture and the instruction sets."""
    found = Examination("cpu")
    machine = survey.machine
    text = machine.read("/proc/cpuinfo")[:_FIRST_BLOCK]
    model = re.search(r"(?m)^(?:model name|Model)\s*:\s*(.+)$", text)
    features = parse_features(text)
    known = [name for name in _VARIANTS.get(machine.architecture, ()) if name in features]
    found.fact("CPU", model[1] if model else "unknown model", f"{machine.architecture}")
    found.fact("instruction sets", ", ".join(known) or "only the architecture's own")
    if machine.architecture not in _SUPPORTED:
        found.warning(
            "architecture",
            f"the architecture is {machine.architecture}; the CPU kernels are tested on "
            f"{', '.join(_SUPPORTED)}",
            "They are compiled as portable C++ and are slower.",
        )
    elif machine.architecture == "x86_64" and features and not {"avx2", "fma"} <= features:
        in_guest = "hypervisor" in features
        cause = "its hypervisor hides them" if in_guest else "it is older than 2013"
        found.warning(
            "no_avx2",
            f"the CPU has no AVX2 and FMA; {cause if in_guest else f'probably {cause}'}",
            "The CPU optimizers run their portable variant, which takes several times as long.",
            *(["virsh edit GUEST  # <cpu mode='host-passthrough'/>"] if in_guest else []),
        )
    elif machine.architecture == "aarch64" and features and "asimd" not in features:
        found.warning(
            "no_asimd",
            "the CPU has no Advanced SIMD (asimd)",
            "torch itself requires it; the CPU optimizers run their portable variant.",
        )
    return found
