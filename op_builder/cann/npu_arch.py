"""The architectures of AI cores, by the names that CANN's tools have for them."""

from __future__ import annotations

from ..errors import AscendOpsError
from ..lazy_dataclass import dataclass


@dataclass(frozen=True)
class NpuArch:
    """One architecture.

    Attributes:
        name: As ``--npu-arch`` takes it, for example ``dav-2201``.
        number: The value of ``__NPU_ARCH__`` in a kernel.
        old_name: As ``--cce-aicore-arch`` takes it, without ``-vec`` and ``-cube``.
        socs: What the names of its SoCs begin with.
        soc: The SoC to name where CANN wants a whole name.
    """

    name: str
    number: int
    old_name: str
    socs: tuple[str, ...]
    soc: str


#: All architectures. The first whose SoC prefix matches counts, so Ascend910 is after Ascend910B.
ARCHS = (
    NpuArch("dav-2201", 2201, "dav-c220", ("Ascend910B", "Ascend910_93"), "Ascend910B1"),
    NpuArch("dav-3510", 3510, "dav-c310", ("Ascend950",), "Ascend950"),
    NpuArch("dav-2002", 2002, "dav-m200", ("Ascend310P",), "Ascend310P3"),
    NpuArch("dav-3002", 3002, "dav-m300", ("Ascend310B",), "Ascend310B1"),
    NpuArch("dav-1001", 1001, "dav-c100", ("Ascend910",), "Ascend910A"),
)


def arch_of(name: str) -> NpuArch:
    """Return the architecture that a SoC or one of the architecture's own names stands for.

    Raises:
        AscendOpsError: The name is not known.

    Example:
        >>> from op_builder.cann.npu_arch import arch_of
        >>> arch_of("Ascend910B2").name, arch_of("dav-c220-vec").name
        ('dav-2201', 'dav-2201')
    """
    for arch in ARCHS:
        if name.startswith((arch.name, arch.old_name, *arch.socs)):
            return arch
    known = ", ".join(f"{'*, '.join(arch.socs)}* ({arch.name})" for arch in ARCHS)
    raise AscendOpsError(f"the SoC must be one of {known}, got {name!r}")
